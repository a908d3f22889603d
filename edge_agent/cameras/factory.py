"""From settings to a camera."""

from __future__ import annotations

from typing import assert_never

from edge_agent.cameras.camera import Camera
from edge_agent.cameras.files import FolderCamera
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
from edge_agent.cameras.synthetic import SyntheticCamera
from edge_agent.cameras.v4l2 import V4L2Camera
from edge_agent.cameras.video import VideoCamera


def make_camera(settings: CameraSettings) -> Camera:
    """A camera, not yet open. Touches no device."""
    match settings:
        case SyntheticSettings():
            return SyntheticCamera(settings)
        case FolderSettings():
            return FolderCamera(settings)
        case VideoSettings() | StreamSettings():
            return VideoCamera(settings)
        case V4L2Settings():
            return V4L2Camera(settings)
        case PiCameraSettings():
            return PiCamera(settings)
        case _:
            assert_never(settings)
