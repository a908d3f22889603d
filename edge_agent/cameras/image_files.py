"""The images in a folder and its subfolders."""

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
"""Pictures in formats that are not supported."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image of a folder, or a file that should be one and cannot be read."""

    path: Path
    name: str
    """Name below the folder, for display: printable, valid UTF-8."""
    problem: ImageError | None = None
    """Why it is left out; None for a file to be read."""


def list_images(folder: Path) -> list[Path]:
    """The images in a folder and its subfolders, by name, without those that have a ``problem``."""
    return [file.path for file in scan_folder(folder) if file.problem is None]


def scan_folder(folder: Path) -> list[ImageFile]:
    """The images in a folder and its subfolders, by name, and the files that cannot be read.

    Returned with a ``problem``: folders that cannot be listed, images that are not regular files, broken links, videos,
    and pictures in unsupported formats. Ignored: hidden files, which file managers create with an image's name, and all
    other files. Linked folders are followed, but no folder is read twice.
    """
    found: list[ImageFile] = []
    seen: set[tuple[int, int]] = set()
    folders, links = [folder], list[Path]()
    while folders or links:
        # Links come last, so that a folder linked from within keeps its own name.
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
        # Needs no system call unless the file is a link, which matters for a large folder on a network.
        regular = item.is_file()
        if not regular:
            item.stat()
    except OSError as error:
        problem = ImageError(f"{name} cannot be read: {error.strerror}.")
    else:
        if not regular:
            problem = ImageError(f"{name} is not a regular file.", remedy="Remove it from the folder.")
        elif suffix in VIDEO_SUFFIXES:
            problem = ImageUnsupported(
                f"{name} is a video in a folder of images.", remedy="Give the path of the video itself."
            )
        elif suffix not in IMAGE_SUFFIXES:
            problem = ImageUnsupported(
                f"{name} is in a format that is not supported ({suffix}).",
                remedy=f"Convert it to one of {', '.join(sorted(IMAGE_SUFFIXES))}.",
            )
    return [ImageFile(path, name, problem)]
