"""Images from files, passed on undecoded."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator

from edge_agent.cameras.file_names import printable_name, source_name
from edge_agent.cameras.frame import Encoded, Frame, frame_now
from edge_agent.cameras.image_files import IMAGE_SUFFIXES, ImageFile, scan_folder
from edge_agent.cameras.image_stack import pages_left_out
from edge_agent.cameras.read_position import ReadPosition
from edge_agent.cameras.regular_file import open_regular
from edge_agent.cameras.settings import FolderSettings
from edge_agent.errors import CameraAbsent, CameraLost, EndOfFrames, ImageError, ImageTooLarge

_MIB = 1024 * 1024

FolderPosition = ReadPosition[tuple[str, ...]]
"""The parts of the path, by which files are sorted."""


class FolderCamera:
    """Not live. The images of a folder and its subfolders, by name, or one file of any name.

    ``Frame.source`` is the file's name below the folder. Anything that cannot be read still becomes a frame, with the
    error in place of the picture: a file, a folder that cannot be listed, the pages of a TIFF after the first. A camera
    created with the ``position`` of another continues where the other stopped.
    """

    def __init__(self, settings: FolderSettings, position: FolderPosition | None = None) -> None:
        self._settings = settings
        self._position = position if position is not None else FolderPosition()
        self._max_bytes = int(settings.max_file_mib * _MIB)
        self._shown = printable_name(settings.path)
        self._closed = threading.Event()
        self._files: Iterator[ImageFile] = iter(())
        self._before: tuple[str, ...] | None = None
        self._ready: deque[Frame] = deque()

    @property
    def id(self) -> str:
        """One topic segment."""
        return self._settings.id

    @property
    def live(self) -> bool:
        """False: every image counts."""
        return False

    def open(self) -> None:
        """List the images. Raises ``CameraAbsent`` if there are none."""
        last = self._position.last
        self._files = iter([file for file in self._list() if last is None or file.path.parts > last])

    def read(self) -> Frame:
        """The next image as ``Encoded``. Raises ``EndOfFrames`` after the last one."""
        if self._closed.is_set():
            raise CameraLost(f"Folder {self._shown} was closed.")
        if not self._ready:
            self._ready += self._frames_of(self._next_file())
        return self._ready.popleft()

    def close(self) -> None:
        """Stop reading."""
        self._closed.set()

    def _next_file(self) -> ImageFile:
        file = next(self._files, None)
        if file is None:
            self._position.restart()
            if not self._settings.loop:
                raise EndOfFrames(f"{self._shown} has no more images.")
            self._before = None
            self._files = iter(self._list())
            file = next(self._files)
        return file

    def _list(self) -> list[ImageFile]:
        """Never empty."""
        root = self._settings.path
        remedy = "Correct camera.path in the configuration, or put images there."
        try:
            if not root.exists():
                raise CameraAbsent(f"There is no folder or file {self._shown}.", remedy=remedy)
            if not root.is_dir():
                return [ImageFile(root, source_name(root, root))]
            os.scandir(root).close()
        except OSError as error:
            raise CameraAbsent(f"{self._shown} cannot be read: {error.strerror}.", remedy=remedy) from None
        found = scan_folder(root)
        if not found:
            suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
            raise CameraAbsent(f"Folder {self._shown} contains no image ({suffixes}).", remedy=remedy)
        return found

    def _frames_of(self, file: ImageFile) -> Iterator[Frame]:
        key = file.path.parts
        in_time = self._position.begin(key, after=self._before)
        self._before = key
        if not in_time:
            image: Encoded | ImageError = ImageError(
                f"{file.name} could not be read in time.", remedy="Check the disk or network where the file is."
            )
        elif file.problem is not None:
            image = file.problem
        else:
            image = self._load(file)
        yield frame_now(self.id, image, source=file.name)
        left_out = pages_left_out(image.data, file.name) if isinstance(image, Encoded) else None
        if left_out is not None:
            yield frame_now(self.id, left_out, source=f"{file.name}#page=2")

    def _load(self, file: ImageFile) -> Encoded | ImageError:
        too_large = ImageTooLarge(
            f"{file.name} is larger than {self._settings.max_file_mib:g} MiB.",
            remedy="Shrink the file, or raise camera.max_file_mib if you trust its origin.",
        )
        try:
            with open_regular(file.path, file.name) as descriptor:
                if os.fstat(descriptor).st_size > self._max_bytes:
                    return too_large
                with open(descriptor, "rb", closefd=False) as reader:
                    # One byte more than allowed, to detect a file that grows meanwhile.
                    data = reader.read(self._max_bytes + 1)
        except ImageError as error:
            return error
        except OSError as error:
            return ImageError(f"{file.name} cannot be read: {error.strerror or error}.")
        if len(data) > self._max_bytes:
            return too_large
        return Encoded(data)
