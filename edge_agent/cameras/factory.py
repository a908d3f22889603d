"""Creates cameras from settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from edge_agent.cameras.camera import Camera
from edge_agent.cameras.folder import FolderCamera, FolderPosition
from edge_agent.cameras.picamera import PiCamera
from edge_agent.cameras.settings import (
    CameraSettings,
    FolderSettings,
    PiCameraSettings,
    StreamSettings,
    SyntheticSettings,
    V4L2Settings,
    VideoSettings,
)
from edge_agent.cameras.stream import StreamCamera
from edge_agent.cameras.synthetic import SyntheticCamera
from edge_agent.cameras.v4l2 import V4L2Camera
from edge_agent.cameras.video import VideoCamera, VideoPosition


def make_camera(settings: CameraSettings) -> Camera:
    """A camera, not yet open. Touches no device."""
    return camera_maker(settings)()


def camera_maker(settings: CameraSettings) -> Callable[[], Camera]:
    """A function that creates a camera, and another after each failure.

    For files, each continues where the last one stopped.
    """
    match settings:
        case SyntheticSettings():
            return lambda: SyntheticCamera(settings)
        case FolderSettings():
            folder_position = FolderPosition()
            return lambda: FolderCamera(settings, folder_position)
        case VideoSettings():
            video_position = VideoPosition()
            return lambda: VideoCamera(settings, video_position)
        case StreamSettings():
            return lambda: StreamCamera(settings)
        case V4L2Settings():
            return lambda: V4L2Camera(settings)
        case PiCameraSettings():
            return lambda: PiCamera(settings)
        case _:
            assert_never(settings)
