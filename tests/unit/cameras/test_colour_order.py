from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.cameras.camera import Camera
from edge_agent.cameras.folder import FolderCamera
from edge_agent.cameras.frame import ColourOrder, Pixels
from edge_agent.cameras.picamera import PiCamera
from edge_agent.cameras.settings import (
    FolderSettings,
    PiCameraSettings,
    SyntheticSettings,
    V4L2Settings,
    VideoSettings,
)
from edge_agent.cameras.synthetic import SyntheticCamera
from edge_agent.cameras.v4l2 import V4L2Camera
from edge_agent.cameras.video import VideoCamera
from edge_agent.testing.colour_card import CARD_PATCHES_RGB, card_seen, colour_card
from edge_agent.testing.picamera2 import FakePicamera2
from edge_agent.testing.video_capture import FakeVideoCapture

# Compression blurs colours, most of all in a video; swapping red and blue shifts them by 190.
TOLERANCE_LEVELS = 25

BGR_CARD = colour_card(ColourOrder.BGR)


def assert_shows_the_card(camera: Camera) -> None:
    camera.open()
    try:
        seen = card_seen(camera.read())
    finally:
        camera.close()
    for patch, expected in zip(seen, CARD_PATCHES_RGB, strict=True):
        assert patch == pytest.approx(expected, abs=TOLERANCE_LEVELS)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".tif", ".webp"])
def test_a_folders_images(tmp_path: Path, suffix: str) -> None:
    assert cv2.imwrite(str(tmp_path / f"card{suffix}"), BGR_CARD)
    assert_shows_the_card(FolderCamera(FolderSettings(kind="folder", path=tmp_path)))


def test_a_video_file(tmp_path: Path) -> None:
    path = tmp_path / "card.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (BGR_CARD.shape[1], BGR_CARD.shape[0]))
    for _ in range(3):
        writer.write(BGR_CARD)
    writer.release()
    assert_shows_the_card(VideoCamera(VideoSettings(kind="video", path=path)))


@pytest.mark.parametrize("pixel_format", ["MJPG", "YUYV"])
def test_a_usb_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixel_format: str) -> None:
    (tmp_path / "usb-Acme-video-index0").touch()
    jpeg = np.asarray(cv2.imencode(".jpg", BGR_CARD)[1], np.uint8).reshape(1, -1)
    capture = (
        FakeVideoCapture([jpeg])
        if pixel_format == "MJPG"
        else FakeVideoCapture([BGR_CARD], fixed={cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"YUYV")})
    )
    monkeypatch.setattr(cv2, "VideoCapture", capture)
    height, width = BGR_CARD.shape[:2]
    settings = V4L2Settings(kind="v4l2", width_px=width, height_px=height)
    assert_shows_the_card(V4L2Camera(settings, by_id=tmp_path))


def test_a_raspberry_pi_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", FakePicamera2(colour_card(ColourOrder.RGB), {}))
    assert_shows_the_card(PiCamera(PiCameraSettings(kind="picamera")))


def test_a_drawn_smear_is_violet_not_brown() -> None:
    camera = SyntheticCamera(SyntheticSettings(kind="synthetic", labels=("pre-b",), bad_fields_ratio=0))
    camera.open()
    image = camera.read().image
    camera.close()
    assert isinstance(image, Pixels)
    rgb = image.array if image.order is ColourOrder.RGB else image.array[..., ::-1]
    nuclei = rgb[rgb[..., 1] < 150].mean(axis=0)
    assert nuclei[2] > nuclei[0] + 20
