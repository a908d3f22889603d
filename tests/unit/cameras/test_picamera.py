from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.cameras.frame import ColourOrder, Encoded, Pixels
from edge_agent.cameras.picamera import PiCamera
from edge_agent.cameras.settings import PiCameraSettings
from edge_agent.errors import CameraAbsent, CameraError, CameraLost, CameraTimeout, ImageError
from edge_agent.testing.colour_card import colour_card
from edge_agent.testing.picamera2 import FakePicamera2, FakePicamera2Request

METADATA = {
    "ExposureTime": 4987,
    "AnalogueGain": 1.99,
    "ColourGains": (2.1, 1.6),
    "ColourTemperature": 5400,
    "SensorTemperature": 41.0,
}
LOCKED: dict[str, Any] = {
    "exposure_us": 5000,
    "analogue_gain_ratio": 2.0,
    "colour_gains_ratio": (2.1, 1.6),
}


def fake(**changes: Any) -> FakePicamera2:
    return FakePicamera2(colour_card(ColourOrder.RGB), METADATA, **changes)


def camera(monkeypatch: pytest.MonkeyPatch, module: object, **changes: Any) -> PiCamera:
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return PiCamera(PiCameraSettings.model_validate({"kind": "picamera"} | changes))


def test_without_picamera2_the_error_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CameraAbsent) as caught:
        camera(monkeypatch, None).open()
    assert "apt install python3-picamera2" in str(caught.value)
    assert "--system-site-packages" in str(caught.value)


def test_a_picamera2_whose_files_are_empty_is_absent_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CameraAbsent, match="apt install python3-picamera2"):
        camera(monkeypatch, ModuleType("picamera2")).open()


def test_making_the_camera_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    camera(monkeypatch, None)


@pytest.mark.parametrize("models", [(), ("imx477",)])
def test_a_camera_that_is_not_connected_is_absent(monkeypatch: pytest.MonkeyPatch, models: tuple[str, ...]) -> None:
    with pytest.raises(CameraAbsent, match="imx477" if models else "none"):
        camera(monkeypatch, fake(models=models), index=1).open()


def test_exposure_gain_and_white_balance_are_locked_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake()
    camera(monkeypatch, module, width_px=640, height_px=480, **LOCKED).open()
    assert module.configuration == {
        "main": {"format": "BGR888", "size": (640, 480)},
        "controls": {
            "AeEnable": False,
            "ExposureTime": 5000,
            "AnalogueGain": 2.0,
            "AwbEnable": False,
            "ColourGains": (2.1, 1.6),
            "FrameDurationLimits": (100_000, 100_000),
        },
    }
    assert module.started


def test_automatic_controls_are_left_to_libcamera(monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake()
    automatic = camera(monkeypatch, module)
    automatic.open()
    assert set(module.configuration["controls"]) == {"FrameDurationLimits"}
    assert automatic.read().settings.locked is False


def test_an_exposure_longer_than_the_frame_slows_the_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake()
    camera(monkeypatch, module, **LOCKED | {"exposure_us": 400_000}).open()
    assert module.configuration["controls"]["FrameDurationLimits"] == (400_000, 400_000)


def test_a_frame_carries_the_metadata_of_its_own_request(monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake()
    opened = camera(monkeypatch, module, **LOCKED)
    opened.open()
    settings = opened.read().settings
    assert (settings.exposure_us, settings.analogue_gain_ratio) == (4987, 1.99)
    assert (settings.red_gain_ratio, settings.blue_gain_ratio) == (2.1, 1.6)
    assert (settings.colour_temperature_k, settings.sensor_temperature_c) == (5400, 41.0)
    assert (settings.width_px, settings.height_px, settings.pixel_format) == (256, 64, "BGR888")
    assert settings.locked is True
    assert [request.releases_count for request in module.requests] == [1]


def test_metadata_that_a_sensor_lacks_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = camera(monkeypatch, FakePicamera2(colour_card(ColourOrder.RGB), {}))
    opened.open()
    settings = opened.read().settings
    assert settings.exposure_us is settings.red_gain_ratio is settings.sensor_temperature_c is None


def test_a_request_is_given_back_even_if_its_picture_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake()
    opened = camera(monkeypatch, module)
    opened.open()

    def fail(self: object, name: str) -> None:
        raise RuntimeError("no buffer")

    monkeypatch.setattr("edge_agent.testing.picamera2.FakePicamera2Request.make_array", fail)
    with pytest.raises(CameraLost, match="no buffer"):
        opened.read()
    assert [request.releases_count for request in module.requests] == [1]


def test_no_frame_in_time_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake(failure=TimeoutError())
    opened = camera(monkeypatch, module, wait_timeout_s=1.5)
    opened.open()
    with pytest.raises(CameraTimeout, match=r"1\.5 s"):
        opened.read()
    assert module.waits == [1.5]


@pytest.mark.parametrize("failure", [RuntimeError("gone"), OSError("gone")])
def test_a_failing_camera_is_lost(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    opened = camera(monkeypatch, fake(failure=failure))
    opened.open()
    with pytest.raises(CameraLost, match="gone"):
        opened.read()


def test_a_camera_that_another_program_holds_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CameraAbsent, match="did not complete"):
        camera(monkeypatch, fake(make_failure=RuntimeError("Camera __init__ sequence did not complete"))).open()


@pytest.mark.parametrize(("given", "order"), [("BGR888", ColourOrder.RGB), ("RGB888", ColourOrder.BGR)])
def test_the_order_is_declared_by_the_format_in_force(
    monkeypatch: pytest.MonkeyPatch, given: str, order: ColourOrder
) -> None:
    opened = camera(monkeypatch, fake(forced_format=given))
    opened.open()
    image = opened.read().image
    assert isinstance(image, Pixels)
    assert image.order is order
    assert np.array_equal(image.array, colour_card(order))


def test_a_usb_camera_that_libcamera_finds_gives_its_jpeg_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake(forced_format="MJPEG")
    opened = camera(monkeypatch, module, width_px=256, height_px=64)
    opened.open()
    frame = opened.read()
    assert isinstance(frame.image, Encoded)
    decoded = cv2.imdecode(np.frombuffer(frame.image.data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded is not None
    assert np.abs(decoded.astype(int) - colour_card(ColourOrder.RGB)).mean() < 10
    assert (frame.settings.width_px, frame.settings.height_px) == (256, 64)
    assert frame.settings.pixel_format == "MJPEG"
    assert [request.releases_count for request in module.requests] == [1]


@pytest.mark.parametrize("damage", [lambda data: data[: data.size // 2], lambda data: data[:0]], ids=["half", "empty"])
def test_a_jpeg_cut_short_is_a_frame_with_an_error(
    monkeypatch: pytest.MonkeyPatch, damage: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> None:
    whole = FakePicamera2Request.make_buffer
    monkeypatch.setattr(FakePicamera2Request, "make_buffer", lambda request, name: damage(whole(request, name)))
    opened = camera(monkeypatch, fake(forced_format="MJPEG"), width_px=256, height_px=64)
    opened.open()
    assert isinstance(opened.read().image, ImageError)


def test_a_jpeg_of_another_size_than_declared_is_a_frame_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = camera(monkeypatch, fake(forced_format="MJPEG"), width_px=512, height_px=64)
    opened.open()
    image = opened.read().image
    assert isinstance(image, ImageError)
    assert "256 x 64 px" in image.message


def test_a_usb_camera_is_not_asked_for_a_pace_that_it_lacks_the_control_for(monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake(forced_format="MJPEG")
    camera(monkeypatch, module).open()
    assert module.configuration["controls"] == {}
    assert module.started


def test_a_camera_that_cannot_lock_its_exposure_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake(forced_format="MJPEG")
    with pytest.raises(CameraAbsent, match="not advertised"):
        camera(monkeypatch, module, **LOCKED).open()
    assert not module.started


def test_another_format_is_refused_rather_than_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake(forced_format="YUV420")
    opened = camera(monkeypatch, module)
    with pytest.raises(CameraError, match="YUV420"):
        opened.open()
    opened.close()
    assert module.closes_count == 1


def test_close_lets_the_camera_go_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake()
    opened = camera(monkeypatch, module)
    opened.open()
    opened.close()
    opened.close()
    assert module.closes_count == 1
    with pytest.raises(CameraLost):
        opened.read()
