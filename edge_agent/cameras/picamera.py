"""Raspberry Pi cameras, through picamera2."""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import Any

from edge_agent.cameras.captured_jpeg import captured_jpeg
from edge_agent.cameras.device_guard import DeviceGuard
from edge_agent.cameras.frame import ColourOrder, Frame, Pixels, frame_now
from edge_agent.cameras.settings import PiCameraSettings
from edge_agent.contracts import CaptureSettings
from edge_agent.errors import CameraAbsent, CameraError, CameraLost, CameraTimeout

# libcamera names formats after a little-endian word, so the order in memory is reversed: the array of "BGR888" is red,
# green, blue.
_ORDERS = MappingProxyType({"BGR888": ColourOrder.RGB, "RGB888": ColourOrder.BGR})
_FORMAT = "BGR888"
# The format of a USB camera under libcamera, which has no ISP to convert it.
_COMPRESSED = "MJPEG"


class PiCamera:
    """Live. The ISP scales to the size that is asked for; each frame carries the metadata of its own exposure.

    A USB camera found by libcamera delivers ``Encoded`` JPEG, in its size nearest to the requested one.
    """

    def __init__(self, settings: PiCameraSettings) -> None:
        self._settings = settings
        self._name = f"Raspberry Pi camera {settings.index}"
        self._guard = DeviceGuard(self._name)
        self._camera: Any = None
        self._format = _FORMAT
        self._compressed_size_px = settings.width_px, settings.height_px

    @property
    def id(self) -> str:
        """One topic segment."""
        return self._settings.id

    @property
    def live(self) -> bool:
        """True."""
        return True

    def open(self) -> None:
        """Import picamera2, open the camera and start it. Raises ``CameraAbsent``, ``CameraError``."""
        picamera2 = _import_picamera2()
        with self._guard.use():
            try:
                found = picamera2.Picamera2.global_camera_info()
                if self._settings.index >= len(found):
                    models = ", ".join(str(info.get("Model")) for info in found) or "none"
                    raise CameraAbsent(f"There is no {self._name}; libcamera finds {models}.")
                camera = picamera2.Picamera2(self._settings.index)
                self._guard.hold(camera.close)
                size = self._settings.width_px, self._settings.height_px
                controls = self._controls(paced="FrameDurationLimits" in camera.camera_controls)
                camera.configure(
                    camera.create_video_configuration(main={"format": _FORMAT, "size": size}, controls=controls)
                )
                main = camera.camera_configuration()["main"]
                self._format, self._compressed_size_px = main["format"], main["size"]
                camera.start()
            except (RuntimeError, OSError) as error:
                raise CameraAbsent(f"{self._name} cannot be opened: {error}.") from error
        if self._format not in _ORDERS and self._format != _COMPRESSED:
            raise CameraError(f"{self._name} gives {self._format}, not {_FORMAT}.")
        self._camera = camera

    def read(self) -> Frame:
        """The next frame. Raises ``CameraTimeout``, ``CameraLost``."""
        if self._camera is None:
            raise CameraLost(f"{self._name} is not open.")
        with self._guard.use():
            try:
                request = self._camera.capture_request(wait=self._settings.wait_timeout_s)
                try:
                    compressed = self._format == _COMPRESSED
                    array = request.make_buffer("main") if compressed else request.make_array("main")
                    metadata = request.get_metadata()
                finally:
                    request.release()
            except TimeoutError:
                raise CameraTimeout(f"{self._name} gave no frame within {self._settings.wait_timeout_s:g} s.") from None
            except (RuntimeError, OSError) as error:
                raise CameraLost(f"{self._name} failed while reading: {error}.") from error
        if compressed:
            reported = self._reported(*self._compressed_size_px, metadata)
            jpeg = captured_jpeg(array, self._name, size_px=self._compressed_size_px)
            return frame_now(self.id, jpeg, settings=reported)
        reported = self._reported(array.shape[1], array.shape[0], metadata)
        return frame_now(self.id, Pixels(array, _ORDERS[self._format]), settings=reported)

    def close(self) -> None:
        """Stop the camera, as soon as no other thread is in the driver."""
        self._guard.close()

    def _controls(self, *, paced: bool) -> dict[str, Any]:
        settings = self._settings
        controls: dict[str, Any] = {}
        # A USB camera has its own frame rate, and picamera2 refuses controls that a camera lacks. Controls that fix the
        # exposure are requested anyway: if they were set, pictures without them are of no use.
        if paced:
            period_us = max(round(1e6 / settings.frame_rate_hz), settings.exposure_us or 0)
            controls["FrameDurationLimits"] = period_us, period_us
        if settings.exposure_us is not None:
            controls |= {
                "AeEnable": False,
                "ExposureTime": settings.exposure_us,
                "AnalogueGain": settings.analogue_gain_ratio,
            }
        if settings.colour_gains_ratio is not None:
            controls |= {"AwbEnable": False, "ColourGains": settings.colour_gains_ratio}
        return controls

    def _reported(self, width_px: int, height_px: int, metadata: dict[str, Any]) -> CaptureSettings:
        red, blue = metadata.get("ColourGains", (None, None))
        return CaptureSettings(
            width_px=width_px,
            height_px=height_px,
            pixel_format=self._format,
            exposure_us=metadata.get("ExposureTime"),
            analogue_gain_ratio=metadata.get("AnalogueGain"),
            red_gain_ratio=red,
            blue_gain_ratio=blue,
            colour_temperature_k=metadata.get("ColourTemperature"),
            sensor_temperature_c=metadata.get("SensorTemperature"),
            locked=self._settings.exposure_us is not None and self._settings.colour_gains_ratio is not None,
        )


def _import_picamera2() -> Any:  # noqa: ANN401 - picamera2 has no type hints and is not on PyPI's machines
    try:
        module = importlib.import_module("picamera2")
        _ = module.Picamera2
    except (ImportError, ValueError, AttributeError) as error:
        # ValueError: an extension built for another NumPy. AttributeError: a power cut during the installation left
        # empty files, which can be imported too.
        raise CameraAbsent(
            f"picamera2 cannot be imported: {error}.",
            remedy="picamera2 comes with Raspberry Pi OS: apt install python3-picamera2; "
            "make the venv with --system-site-packages.",
        ) from error
    return module
