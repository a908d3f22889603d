"""Images from files, each handed on as it lies on the disk."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from edge_agent.cameras.frame import Encoded, Frame, frame_now
from edge_agent.cameras.settings import FolderSettings
from edge_agent.errors import CameraAbsent, CameraLost, EndOfFrames, ImageError, ImageTooLarge

_log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
_MIB = 1024 * 1024


class FolderCamera:
    """Not live. The images of a folder and all below it, by name, or one file of any name.

    Hidden files are left out: file managers leave their own there under an image's name.
    A file that cannot be read still becomes a frame, with the error in the picture's place.
    """

    def __init__(self, settings: FolderSettings) -> None:
        self._settings = settings
        self._max_bytes = int(settings.max_file_mib * _MIB)
        self._closed = threading.Event()
        self._paths: Iterator[Path] = iter(())

    @property
    def id(self) -> str:
        """One topic segment."""
        return self._settings.id

    @property
    def live(self) -> bool:
        """False: every image counts."""
        return False

    def open(self) -> None:
        """List the images. Raises ``CameraAbsent`` where there are none."""
        self._paths = iter(self._list())

    def read(self) -> Frame:
        """The next image as ``Encoded``. Raises ``EndOfFrames`` after the last one."""
        if self._closed.is_set():
            raise CameraLost(f"Folder {self._settings.path} was closed.")
        path = next(self._paths, None)
        if path is None:
            if not self._settings.loop:
                raise EndOfFrames(f"{self._settings.path} has no further image.")
            self._paths = iter(self._list())
            path = next(self._paths)
        return frame_now(self.id, self._load(path), source=str(path))

    def close(self) -> None:
        """End the reading."""
        self._closed.set()

    def _list(self) -> list[Path]:
        """Never empty."""
        root = self._settings.path
        remedy = "Correct camera.path in the configuration, or put images there."
        if root.is_file():
            return [root]
        if not root.is_dir():
            raise CameraAbsent(f"There is no folder or file {root}.", remedy=remedy)
        found = list_images(root)
        if not found:
            raise CameraAbsent(f"Folder {root} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))}).", remedy=remedy)
        return found

    def _load(self, path: Path) -> Encoded | ImageError:
        try:
            with path.open("rb") as file:
                # One byte more than may be: a file that grows meanwhile is found out too.
                data = file.read(self._max_bytes + 1) if self._fits(file.fileno()) else None
        except OSError as error:
            return ImageError(f"{path} cannot be read: {error.strerror or error}.")
        if data is None or len(data) > self._max_bytes:
            return ImageTooLarge(
                f"{path} is larger than {self._settings.max_file_mib:g} MiB.",
                remedy="Shrink the file, or raise camera.max_file_mib if you trust its origin.",
            )
        return Encoded(data)

    def _fits(self, descriptor: int) -> bool:
        return os.fstat(descriptor).st_size <= self._max_bytes


def list_images(folder: Path) -> list[Path]:
    """The images in a folder and all below it, by name. A folder that cannot be listed is logged and left out."""
    return sorted(
        Path(inner, name)
        for inner, _, names in os.walk(folder, onerror=_warn_of_folder)
        for name in names
        if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")
    )


def _warn_of_folder(error: OSError) -> None:
    _log.warning("%s: Folder %s cannot be listed: %s.", CameraAbsent.code, error.filename, error.strerror)
