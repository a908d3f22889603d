"""Frames and readings of images, folders and videos."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from uuid_utils.compat import uuid7

from edge_agent.analysis.cell_scale import CellScale, measure_scale, spread
from edge_agent.analysis.reading import Reading
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.camera import Camera
from edge_agent.cameras.file_names import printable_name
from edge_agent.cameras.folder import FolderCamera
from edge_agent.cameras.frame import Frame
from edge_agent.cameras.image_files import VIDEO_SUFFIXES, list_images, scan_folder
from edge_agent.cameras.secret_url import without_address
from edge_agent.cameras.settings import FolderSettings, VideoSettings
from edge_agent.cameras.video import VideoCamera
from edge_agent.contracts import ErrorReport, Outcome, Result
from edge_agent.errors import CameraError, EndOfFrames, ImageError, ImageMissing

_CAMERA = "file"


class FrameAnalyzer(Protocol):
    """What judges frames one by one: as fields, or each as one cell."""

    def analyse(self, frame: Frame) -> Reading:
        """Judge a frame. Never raises, whatever it contains."""


@dataclass(frozen=True, slots=True)
class FileReading:
    """A result, and the path argument that it came from."""

    path: Path
    in_folder: bool
    """Whether ``path`` is a folder."""
    result: Result

    @property
    def name(self) -> str:
        """The file and the position in it, for display: ``result.source`` is relative to the folder."""
        return _name(self.path, self.result.source, in_folder=self.in_folder)


@dataclass(frozen=True, slots=True)
class FileFrame:
    """A frame, and the path argument that it came from."""

    path: Path
    in_folder: bool
    """Whether ``path`` is a folder."""
    frame: Frame

    @property
    def name(self) -> str:
        """The file and the position in it, for display."""
        return _name(self.path, self.frame.source, in_folder=self.in_folder)


@dataclass(frozen=True, slots=True)
class UnreadFile:
    """What could not be read, and why."""

    name: str
    """For display."""
    error: ErrorReport


def count_frames(paths: list[Path]) -> int | None:
    """Number of readings that ``paths`` will give; None if a video makes that unknown."""
    if any(_is_video(path) for path in paths):
        return None
    return sum(len(scan_folder(path)) if _is_folder(path) else 1 for path in paths)


def classify_paths(
    paths: list[Path], analyzer: FrameAnalyzer, on_unread: Callable[[UnreadFile], None]
) -> Iterator[FileReading]:
    """One reading per image or video frame, in the order of ``paths``.

    What cannot be read or is left out is passed to ``on_unread``; if there is a frame, its ``failed`` reading is
    yielded too. Never raises because of a path's content.
    """
    maker = ResultMaker("this-computer", "this-computer", uuid7())
    for each in path_frames(paths, on_unread):
        reading = FileReading(each.path, each.in_folder, maker.make(analyzer.analyse(each.frame)))
        if reading.result.outcome is Outcome.FAILED and reading.result.error is not None:
            on_unread(UnreadFile(reading.name, reading.result.error))
        yield reading


def spread_frames(paths: list[Path]) -> Iterator[Frame]:
    """Some images that are spread over all of ``paths``: what is true of their run is measured by them.

    Videos are passed over.
    """
    files = [
        file for path in paths if not _is_video(path) for file in (list_images(path) if _is_folder(path) else [path])
    ]
    return (each.frame for each in path_frames(spread(files), lambda _: None))


def find_cell_scale(paths: list[Path]) -> CellScale:
    """The scale of images of single cells, by ``spread_frames``. What cannot be read says nothing."""
    return measure_scale(each.image for each in spread_frames(paths) if not isinstance(each.image, ImageError))


def path_frames(paths: list[Path], on_unread: Callable[[UnreadFile], None]) -> Iterator[FileFrame]:
    """The frames of ``paths`` in their order. What is not there or left out is passed to ``on_unread``."""
    for path in paths:
        problem = _problem(path)
        if problem is not None:
            on_unread(UnreadFile(_shown(path), ErrorReport.from_error(problem)))
            continue
        in_folder = _is_folder(path)
        try:
            for frame in _frames(_camera_for(path)):
                yield FileFrame(path, in_folder, frame)
        except CameraError as error:
            # Report it as a file, not as a camera: the folder is empty, or the video is invalid.
            cause = (ImageMissing if in_folder else ImageError)(error.message)
            on_unread(UnreadFile(_shown(path), ErrorReport.from_error(cause)))


def _problem(path: Path) -> ImageError | None:
    try:
        path.stat()
        if _is_folder(path):
            os.scandir(path).close()
    except (FileNotFoundError, NotADirectoryError):
        return ImageMissing(f"There is no file or folder {_shown(path)}.")
    except OSError as error:
        return ImageError(f"{_shown(path)} cannot be read: {error.strerror}.")
    return None


def _name(path: Path, source: str | None, *, in_folder: bool) -> str:
    if in_folder:
        return f"{_shown(path)}/{source or ''}"
    return _shown(path) + (source or "").removeprefix(printable_name(path.name))


def _shown(path: Path) -> str:
    # The argument may be an address by mistake, with a password.
    return without_address(printable_name(path))


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and not _is_folder(path)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _camera_for(path: Path) -> Camera:
    # Absolute, because a file's name may begin like an address or a home folder.
    if _is_video(path):
        return VideoCamera(VideoSettings(kind="video", id=_CAMERA, path=path.absolute()))
    return FolderCamera(FolderSettings(kind="folder", id=_CAMERA, path=path.absolute()))


def _frames(camera: Camera) -> Iterator[Frame]:
    try:
        camera.open()
        while True:
            yield camera.read()
    except EndOfFrames:
        return
    finally:
        camera.close()
