"""Reads the images of class folders, or of a table, into fields, as the device would read them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ImageError
from edge_agent.vision.decode import decode_image
from edge_agent.vision.field import Geometry, cut_field
from trainer.data.description import Description
from trainer.data.listing import list_images
from trainer.errors import DataError
from trainer.progress import console, track


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One readable image. ``path`` is relative to the data folder, with forward slashes."""

    path: str
    label: str
    sha256: str
    group: str | None = field(default=None, compare=False)
    """The person or thing that the image shows, such as a subject; None if unknown. Ignored when files are compared."""


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
        """SHA-256 of the sorted list of the images' SHA-256."""
        return hash_of_hashes(file.sha256 for file in self.files)


def hash_of_hashes(hashes: Iterable[str]) -> str:
    """sha256 of the sorted list of hashes, one per line."""
    return hashlib.sha256("".join(f"{one}\n" for one in sorted(hashes)).encode()).hexdigest()


def read_dataset(folder: Path, description: Description, table: Path | None = None) -> Dataset:
    """Read every image that ``list_images`` lists. Files that are not images are recorded in ``unreadable``, not fatal.

    Raises ``DataError`` for a missing, undescribed or empty class, or for a table that names a file that does not
    exist.
    """
    files: list[ImageFile] = []
    fields: list[NDArray[np.uint8]] = []
    unreadable: list[Unreadable] = []
    for listed in track(list_images(folder, description, table), "Reading images"):
        try:
            _check_name(listed.path)
            image, sha256 = read_field(folder / listed.path, description.geometry)
        except ImageError as error:
            unreadable.append(Unreadable(printable(listed.path), printable(error.message)))
            continue
        files.append(ImageFile(listed.path, listed.label, sha256, listed.group))
        fields.append(image)
    for each in description.classes:
        if not any(file.label == each.code for file in files):
            where = f"class folder {folder / each.folder}" if table is None else f"class {each.code} of {table}"
            raise DataError(f"{where} has no readable image.")
    return Dataset(tuple(files), np.stack(fields), tuple(unreadable))


def printable(name: str) -> str:
    """``name`` with bytes that are not UTF-8 escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def _check_name(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise ImageError("the file's name is not UTF-8, so no split could name it; rename it.") from error


def read_bytes(folder: Path, file: ImageFile) -> bytes:
    """The content of a known file. Raises ``DataError`` if the file cannot be read or has changed."""
    try:
        data = (folder / file.path).read_bytes()
    except OSError as error:
        raise DataError(
            f"{file.path} of the split cannot be read: {error.strerror}.", remedy="Check --data and the split."
        ) from error
    _check_unchanged(file, hashlib.sha256(data).hexdigest())
    return data


def _check_unchanged(file: ImageFile, sha256: str) -> None:
    if sha256 != file.sha256:
        raise DataError(
            f"{file.path} has changed since the split was made.", remedy="Restore the file, or make a new split."
        )


def read_files(folder: Path, files: Sequence[ImageFile], geometry: Geometry) -> NDArray[np.uint8]:
    """Fields of known files, uint8 (n, size, size, 3). Raises ``DataError`` if one has changed."""
    fields = np.empty((len(files), geometry.size_px, geometry.size_px, 3), np.uint8)
    for index, file in enumerate(track(files, "Reading images")):
        try:
            fields[index], sha256 = read_field(folder / file.path, geometry)
        except ImageError as error:
            raise DataError(
                f"{file.path} of the split cannot be read: {error.message}", remedy="Check --data and the split."
            ) from error
        _check_unchanged(file, sha256)
    return fields


def read_field(path: Path, geometry: Geometry) -> tuple[NDArray[np.uint8], str]:
    """The field of one image file, uint8 (size, size, 3) RGB, and the file's sha256. Raises ``ImageError``."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path.name} cannot be opened: {error.strerror}.") from error
    try:
        field = cut_field(decode_image(data), geometry)
    except ValueError as error:
        raise ImageError(f"{path.name}: {error}.") from error
    return field, hashlib.sha256(data).hexdigest()


def report_unreadable(unreadable: Sequence[Unreadable]) -> None:
    """Report which files were skipped, and how many."""
    for each in unreadable:
        console.print(f"skipped {each.path}: {each.reason}")
    if unreadable:
        console.print(f"{len(unreadable)} file(s) skipped because they cannot be read as images.")
