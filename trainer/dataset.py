"""Reads class folders of images into fields, as the device would read them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ImageError
from edge_agent.vision.decode import decode_image
from edge_agent.vision.field import square_field
from trainer.description import Description
from trainer.errors import DataError
from trainer.progress import track
from trainer.spec import INPUT_SIZE_PX


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One readable image. ``path`` is relative to the data folder, with forward slashes."""

    path: str
    label: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """One file that was skipped, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Images and their fields: uint8 RGB (n, 224, 224, 3), one per file."""

    files: tuple[ImageFile, ...]
    fields: NDArray[np.uint8]
    unreadable: tuple[Unreadable, ...]

    @property
    def sha256(self) -> str:
        """Of the sorted list of the images' own sha256."""
        return hash_of_hashes(file.sha256 for file in self.files)


def hash_of_hashes(hashes: Iterable[str]) -> str:
    """sha256 of the sorted list of hashes, one per line."""
    return hashlib.sha256("".join(f"{one}\n" for one in sorted(hashes)).encode()).hexdigest()


def read_dataset(folder: Path, description: Description) -> Dataset:
    """Read every image of every class. Files that are no images are listed, not fatal.

    Raises ``DataError`` for a missing, undescribed or empty class.
    """
    labels = {each.folder: each.code for each in description.classes}
    if not folder.is_dir():
        raise DataError(f"there is no data folder {folder}.", remedy="Check --data.")
    found = {path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}
    if missing := [name for name in labels if name not in found]:
        raise DataError(f"{folder} has no class folder {missing[0]}; there is {sorted(found) or 'none'}.")
    if surplus := sorted(found - set(labels)):
        raise DataError(
            f"{folder} has a folder {surplus[0]} that is no class of the description {description.name}.",
            remedy="Describe it as a class, or move it away.",
        )
    paths = [
        (path, labels[name])
        for name in labels
        for path in sorted((folder / name).iterdir())
        if path.is_file() and not path.name.startswith(".")
    ]
    files: list[ImageFile] = []
    fields: list[NDArray[np.uint8]] = []
    unreadable: list[Unreadable] = []
    for path, label in track(paths, "Reading images"):
        relative = path.relative_to(folder).as_posix()
        try:
            field, sha256 = read_field(path)
        except ImageError as error:
            unreadable.append(Unreadable(relative, str(error)))
            continue
        files.append(ImageFile(relative, label, sha256))
        fields.append(field)
    for name, label in labels.items():
        if not any(file.label == label for file in files):
            raise DataError(f"class folder {folder / name} has no readable image.")
    return Dataset(tuple(files), np.stack(fields), tuple(unreadable))


def read_files(folder: Path, files: Sequence[ImageFile]) -> NDArray[np.uint8]:
    """Fields of known files, uint8 (n, 224, 224, 3). Raises ``DataError`` if one is not what it was."""
    fields = np.empty((len(files), INPUT_SIZE_PX, INPUT_SIZE_PX, 3), np.uint8)
    for index, file in enumerate(track(files, "Reading images")):
        try:
            fields[index], sha256 = read_field(folder / file.path)
        except ImageError as error:
            raise DataError(
                f"{file.path} of the split cannot be read: {error.message}", remedy="Check --data and the split."
            ) from error
        if sha256 != file.sha256:
            raise DataError(f"{file.path} is not the file that the split was made with.", remedy="Make a new split.")
    return fields


def read_field(path: Path) -> tuple[NDArray[np.uint8], str]:
    """The field of one image file, uint8 (224, 224, 3) RGB, and the file's sha256. Raises ``ImageError``."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path.name} cannot be opened: {error.strerror}.") from error
    try:
        field = square_field(decode_image(data), INPUT_SIZE_PX)
    except ValueError as error:
        raise ImageError(f"{path.name}: {error}.") from error
    return field, hashlib.sha256(data).hexdigest()
