"""``edge-agent classify``: judge images, folders and videos that are already there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from uuid_utils.compat import uuid7

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.camera import Camera
from edge_agent.cameras.files import FolderCamera, list_images
from edge_agent.cameras.frame import Frame
from edge_agent.cameras.settings import FolderSettings, VideoSettings
from edge_agent.cameras.video import VideoCamera
from edge_agent.contracts import Outcome, Result
from edge_agent.errors import CameraError, EndOfFrames

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpg", ".webm"})

CAMERA = "file"


@dataclass(frozen=True, slots=True)
class Unread:
    """A path that could not be read, and why."""

    path: str
    error: str


def count_frames(paths: list[Path]) -> int | None:
    """How many readings ``paths`` will give; None where a video makes that unknown."""
    if any(_is_video(path) for path in paths):
        return None
    return sum(len(list_images(path)) if path.is_dir() else 1 for path in paths)


def classify_paths(paths: list[Path], analyzer: Analyzer, on_unread: Callable[[Unread], None]) -> Iterator[Result]:
    """One result per image or video frame, in the order of ``paths``; ``source`` is the file's path.

    What cannot be read is told to ``on_unread``; where there is a frame to speak of, a ``failed`` result comes too.
    """
    maker = ResultMaker("this-computer", uuid7())
    for path in paths:
        camera = _camera_for(path)
        try:
            for frame in _frames(camera):
                result = maker.make(analyzer.analyse(frame))
                if result.outcome is Outcome.FAILED and result.error is not None:
                    on_unread(Unread(result.source or str(path), f"{result.error.code}: {result.error.message}"))
                yield result
        except CameraError as error:
            on_unread(Unread(str(path), f"{error.code}: {error.message}"))


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def _camera_for(path: Path) -> Camera:
    if _is_video(path):
        return VideoCamera(VideoSettings(kind="video", id=CAMERA, path=path))
    return FolderCamera(FolderSettings(kind="folder", id=CAMERA, path=path))


def _frames(camera: Camera) -> Iterator[Frame]:
    try:
        camera.open()
        while True:
            yield camera.read()
    except EndOfFrames:
        return
    finally:
        camera.close()
