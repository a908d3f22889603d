from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_agent.cameras.frame import ColourOrder, Encoded, Pixels
from edge_agent.cameras.settings import V4L2Settings
from edge_agent.cameras.v4l2 import V4L2Camera, find_device
from edge_agent.errors import CameraAbsent, CameraLost, ImageError
from edge_agent.testing.video_capture import FakeVideoCapture, opencv_error

YUYV = cv2.VideoWriter.fourcc(*"YUYV")
LOCKED: dict[str, Any] = {"exposure_us": 5000, "gain_steps": 16, "white_balance_k": 4600}


def jpeg(width_px: int = 1280, height_px: int = 960) -> bytes:
    picture = np.random.default_rng(1).integers(0, 255, (height_px, width_px, 3), np.uint8)
    return np.asarray(cv2.imencode(".jpg", picture)[1], np.uint8).tobytes()


def raw(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8).reshape(1, -1)


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "usb-Acme_Scope_001-video-index0"
    path.touch()
    (tmp_path / "usb-Acme_Scope_001-video-index1").touch()
    return path


def opened(monkeypatch: pytest.MonkeyPatch, auto: Path, capture: FakeVideoCapture, **changes: Any) -> V4L2Camera:
    monkeypatch.setattr(cv2, "VideoCapture", capture)
    settings = V4L2Settings.model_validate({"kind": "v4l2"} | changes)
    camera = V4L2Camera(settings, by_id=auto.parent)
    camera.open()
    return camera


def test_auto_is_the_only_camera_that_gives_pictures(monkeypatch: pytest.MonkeyPatch, device: Path) -> None:
    capture = FakeVideoCapture()
    camera = opened(monkeypatch, device, capture)
    assert capture.opened_with[:2] == (str(device), cv2.CAP_V4L2)
    assert camera.live


def test_auto_with_several_cameras_names_them(device: Path) -> None:
    second = device.with_name("usb-Other_Scope_002-video-index0")
    second.touch()
    with pytest.raises(CameraAbsent) as caught:
        find_device(device.parent)
    assert str(device) in str(caught.value)
    assert str(second) in str(caught.value)
    assert "index1" not in str(caught.value)


def test_no_camera_at_all_is_absent(tmp_path: Path) -> None:
    with pytest.raises(CameraAbsent, match="no USB camera"):
        find_device(tmp_path / "by-id")


def test_a_named_device_that_is_not_there_is_absent_before_opencv_is_asked(
    monkeypatch: pytest.MonkeyPatch, device: Path
) -> None:
    capture = FakeVideoCapture()
    with pytest.raises(CameraAbsent, match="/dev/not-there"):
        opened(monkeypatch, device, capture, device="/dev/not-there")
    assert len(capture.opened_with) == 0


def test_a_device_that_does_not_open_is_absent(monkeypatch: pytest.MonkeyPatch, device: Path) -> None:
    with pytest.raises(CameraAbsent, match=device.name):
        opened(monkeypatch, device, FakeVideoCapture(opens=False))


def test_settings_are_asked_for_in_the_drivers_units_and_order(
    monkeypatch: pytest.MonkeyPatch, device: Path, caplog: pytest.LogCaptureFixture
) -> None:
    capture = FakeVideoCapture()
    caplog.set_level(logging.WARNING)
    opened(monkeypatch, device, capture, **LOCKED)
    assert capture.asked[0][0] == cv2.CAP_PROP_FOURCC
    assert capture.values[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert capture.values[cv2.CAP_PROP_FRAME_WIDTH] == 1280
    assert capture.values[cv2.CAP_PROP_FRAME_HEIGHT] == 960
    assert capture.values[cv2.CAP_PROP_FPS] == 10
    assert capture.values[cv2.CAP_PROP_BUFFERSIZE] == 1
    assert capture.values[cv2.CAP_PROP_EXPOSURE] == 50
    assert capture.values[cv2.CAP_PROP_GAIN] == 16
    assert capture.values[cv2.CAP_PROP_WB_TEMPERATURE] == 4600
    assert capture.values[cv2.CAP_PROP_CONVERT_RGB] == 0
    order = [prop for prop, _ in capture.asked]
    assert order.index(cv2.CAP_PROP_AUTO_EXPOSURE) < order.index(cv2.CAP_PROP_EXPOSURE)
    assert order.index(cv2.CAP_PROP_AUTO_WB) < order.index(cv2.CAP_PROP_WB_TEMPERATURE)
    assert caplog.text == ""


def test_controls_left_null_are_not_touched(monkeypatch: pytest.MonkeyPatch, device: Path) -> None:
    capture = FakeVideoCapture()
    opened(monkeypatch, device, capture)
    touched = {prop for prop, _ in capture.asked}
    assert not touched & {
        cv2.CAP_PROP_AUTO_EXPOSURE,
        cv2.CAP_PROP_EXPOSURE,
        cv2.CAP_PROP_GAIN,
        cv2.CAP_PROP_AUTO_WB,
        cv2.CAP_PROP_WB_TEMPERATURE,
    }


def test_what_the_driver_reports_is_what_the_frame_says(
    monkeypatch: pytest.MonkeyPatch, device: Path, caplog: pytest.LogCaptureFixture
) -> None:
    capture = FakeVideoCapture(
        [raw(b"\xff\xd8..\xff\xd9")],
        fixed={cv2.CAP_PROP_FRAME_WIDTH: 640, cv2.CAP_PROP_EXPOSURE: 78},
        absent=[cv2.CAP_PROP_WB_TEMPERATURE],
    )
    with caplog.at_level(logging.WARNING):
        settings = opened(monkeypatch, device, capture, **LOCKED).read().settings
    assert (settings.width_px, settings.height_px, settings.pixel_format) == (640, 960, "MJPG")
    assert settings.exposure_us == 7800
    assert settings.colour_temperature_k is None
    assert settings.analogue_gain_ratio is None
    assert settings.locked is True
    assert len(caplog.records) == 1
    for unmet in ("width_px asked 1280, is 640", "asked 50, is 78", "white_balance_k asked 4600, is unknown"):
        assert unmet in caplog.text
    assert "height_px" not in caplog.text


@pytest.mark.parametrize(
    ("modes", "locked"),
    [
        ((3, 0), False),
        ((1, 1), False),
        ((1, 0), True),
    ],
)
def test_locked_is_what_the_driver_reports_not_what_was_asked(
    monkeypatch: pytest.MonkeyPatch, device: Path, modes: tuple[int, int], locked: object
) -> None:
    exposure, white_balance = modes
    fixed = {cv2.CAP_PROP_AUTO_EXPOSURE: exposure, cv2.CAP_PROP_AUTO_WB: white_balance}
    capture = FakeVideoCapture([raw(b"\xff\xd8\xff\xd9")], fixed=fixed)
    assert opened(monkeypatch, device, capture, **LOCKED).read().settings.locked is locked


def test_a_driver_without_the_controls_leaves_locked_unknown(monkeypatch: pytest.MonkeyPatch, device: Path) -> None:
    capture = FakeVideoCapture([raw(b"\xff\xd8\xff\xd9")], absent=[cv2.CAP_PROP_AUTO_EXPOSURE])
    assert opened(monkeypatch, device, capture).read().settings.locked is None


def test_a_jpeg_is_handed_on_without_the_padding_behind_it(monkeypatch: pytest.MonkeyPatch, device: Path) -> None:
    picture = jpeg()
    camera = opened(monkeypatch, device, FakeVideoCapture([raw(picture + bytes(5000))]))
    image = camera.read().image
    assert isinstance(image, Encoded)
    assert image.data == picture


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00 not a jpeg \xff\xd9",
        b"\xff\xd8 cut off",
        b"\xff\xd8 no picture \xff\xd9",
        jpeg()[:100_000],
        jpeg()[:100_000] + bytes(5000),
        jpeg()[100_000:],
        jpeg(640, 480),
        b"",
    ],
    ids=["start", "end", "nothing between", "half", "half padded", "second half", "another size", "empty"],
)
def test_a_broken_jpeg_is_a_frame_with_an_error(monkeypatch: pytest.MonkeyPatch, device: Path, data: bytes) -> None:
    camera = opened(monkeypatch, device, FakeVideoCapture([raw(data)]))
    image = camera.read().image
    assert isinstance(image, ImageError)
    assert image.code == "image_unreadable"
    assert device.name in str(image)


def test_a_camera_without_mjpg_is_converted_to_bgr_by_opencv(
    monkeypatch: pytest.MonkeyPatch, device: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    capture = FakeVideoCapture([picture], fixed={cv2.CAP_PROP_FOURCC: YUYV})
    frame = opened(monkeypatch, device, capture).read()
    assert capture.values[cv2.CAP_PROP_CONVERT_RGB] == 1
    assert isinstance(frame.image, Pixels)
    assert frame.image.order is ColourOrder.BGR
    assert frame.settings.pixel_format == "YUYV"
    assert "pixel format asked MJPG, is YUYV" in caplog.text


@pytest.mark.parametrize("failure", [None, opencv_error()], ids=["no frame", "error"])
def test_an_unplugged_camera_is_lost(monkeypatch: pytest.MonkeyPatch, device: Path, failure: Exception | None) -> None:
    camera = opened(monkeypatch, device, FakeVideoCapture([failure]))
    with pytest.raises(CameraLost, match=device.name):
        camera.read()


def test_close_lets_the_device_go(monkeypatch: pytest.MonkeyPatch, device: Path) -> None:
    capture = FakeVideoCapture()
    camera = opened(monkeypatch, device, capture)
    camera.close()
    camera.close()
    assert capture.releases_count == 1
    with pytest.raises(CameraLost):
        camera.read()
