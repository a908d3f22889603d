"""The images in a folder and all below it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edge_agent.cameras.file_names import source_name
from edge_agent.errors import ImageError, ImageUnsupported

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".tif", ".tiff", ".webp"})
VIDEO_SUFFIXES = frozenset(
    {".avi", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".webm", ".wmv"}
)
_OTHER_SUFFIXES = frozenset(
    {".gif", ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".psd"}  # pictures
    | {".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".rw2"}  # raw data of a camera
    | {".svs", ".ndpi", ".mrxs", ".czi", ".lif", ".vsi", ".nd2"}  # scanners and microscopes
)
"""Pictures for sure, but of no kind that is read."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image of a folder, or what should be one and cannot be read."""

    path: Path
    name: str
    """Below the folder, to be shown: printable, valid UTF-8."""
    problem: ImageError | None = None
    """Why it is left out; None for a file to be read."""


def list_images(folder: Path) -> list[Path]:
    """The images in a folder and all below it, by name, without what ``scan_folder`` names as left out."""
    return [file.path for file in scan_folder(folder) if file.problem is None]


def scan_folder(folder: Path) -> list[ImageFile]:
    """What a folder and all below it hold of images, by name, and what of it has to be left out.

    Left out and named: folders that cannot be listed, images that are no regular files or links to nothing, videos, and
    pictures of kinds that are not read. Left out in silence: hidden files, which file managers keep under an image's
    name, and files of any other kind. A folder that is linked is read like any other, but none is read twice.
    """
    found: list[ImageFile] = []
    seen: set[tuple[int, int]] = set()
    folders, links = [folder], list[Path]()
    while folders or links:
        # Links come last, so that what is linked within the folder goes by its own name.
        inner = folders.pop() if folders else links.pop(0)
        try:
            status = inner.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(inner) as entries:
                items = list(entries)
        except OSError as error:
            name = source_name(inner, folder)
            found.append(ImageFile(inner, name, ImageError(f"Folder {name} cannot be listed: {error.strerror}.")))
            continue
        for item in items:
            path = inner / item.name
            if _is_folder(item):
                (links if item.is_symlink() else folders).append(path)
            elif not item.name.startswith("."):
                found += _image_file(item, path, folder)
        links.sort()
    return sorted(found, key=lambda file: file.path)


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:
        return False


def _image_file(item: os.DirEntry[str], path: Path, folder: Path) -> list[ImageFile]:
    suffix = path.suffix.lower()
    if suffix not in IMAGE_SUFFIXES | VIDEO_SUFFIXES | _OTHER_SUFFIXES:
        return []
    name = source_name(path, folder)
    problem: ImageError | None = None
    try:
        # Costs no call of the system for a file that is no link, which counts in a large folder on a network.
        regular = item.is_file()
        if not regular:
            item.stat()
    except OSError as error:
        problem = ImageError(f"{name} cannot be read: {error.strerror}.")
    else:
        if not regular:
            problem = ImageError(f"{name} is not a regular file.", remedy="Remove it from the folder.")
        elif suffix in VIDEO_SUFFIXES:
            problem = ImageUnsupported(f"{name} is a video in a folder of images.", remedy="Give the video by itself.")
        elif suffix not in IMAGE_SUFFIXES:
            problem = ImageUnsupported(
                f"{name} is a picture of a kind that is not read ({suffix}).",
                remedy=f"Convert it to one of {', '.join(sorted(IMAGE_SUFFIXES))}.",
            )
    return [ImageFile(path, name, problem)]
