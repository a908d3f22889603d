"""A fake ``picamera2`` module: behaves like the real one in the parts that ``PiCamera`` uses, and in how it fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_SENSOR_CONTROLS = ("AeEnable", "AnalogueGain", "AwbEnable", "ColourGains", "ExposureTime", "FrameDurationLimits")


class FakePicamera2Request:
    """A completed request: its picture and the metadata of that very exposure."""

    def __init__(self, array: NDArray[np.uint8], metadata: Mapping[str, Any]) -> None:
        self._array = array
        self._metadata = dict(metadata)
        self.releases_count = 0

    def make_array(self, name: str) -> NDArray[np.uint8]:
        """A copy of the stream's picture. Raises ``RuntimeError`` for one that is not configured."""
        if name != "main":
            raise RuntimeError(f"Stream {name!r} is not defined")
        return self._array.copy()

    def make_buffer(self, name: str) -> NDArray[np.uint8]:
        """A copy of the stream's bytes, here of the picture as JPEG. Raises ``RuntimeError`` as ``make_array`` does."""
        _, data = cv2.imencode(".jpg", cv2.cvtColor(self.make_array(name), cv2.COLOR_RGB2BGR))
        return np.asarray(data, np.uint8)

    def get_metadata(self) -> dict[str, Any]:
        """Its metadata."""
        return dict(self._metadata)

    def release(self) -> None:
        """Return the buffer."""
        self.releases_count += 1


class FakePicamera2:
    """The ``picamera2`` module: put it in ``sys.modules``. One camera, which shows ``rgb``.

    The array's channels follow libcamera's names: ``BGR888`` gives red, green, blue.

    :param failure: raised by ``capture_request``.
    :param make_failure: raised when the camera is opened.
    :param forced_format: the format that the camera delivers, whatever is requested. ``MJPEG`` also makes it a USB
        camera, which lacks the controls of a sensor.
    """

    def __init__(
        self,
        rgb: NDArray[np.uint8],
        metadata: Mapping[str, Any],
        *,
        models: Sequence[str] = ("imx477",),
        failure: Exception | None = None,
        make_failure: Exception | None = None,
        forced_format: str | None = None,
    ) -> None:
        self.requests: list[FakePicamera2Request] = []
        self.waits: list[object] = []
        self.configuration: dict[str, Any] = {}
        self.started = False
        self.closes_count = 0
        self.Picamera2 = _picamera2_class(self, models, make_failure)
        self._rgb = rgb
        self._metadata = metadata
        self._failure = failure
        self._forced_format = forced_format
        self.camera_controls = {} if forced_format == "MJPEG" else dict.fromkeys(_SENSOR_CONTROLS, (0, 1, None))

    def create_video_configuration(self, *, main: dict[str, Any], controls: dict[str, Any]) -> dict[str, Any]:
        """A configuration for ``configure``."""
        return {"main": dict(main), "controls": dict(controls)}

    def configure(self, configuration: dict[str, Any]) -> None:
        """Take the configuration. Raises ``RuntimeError`` for a control that the camera lacks."""
        for name in configuration["controls"]:
            if name not in self.camera_controls:
                raise RuntimeError(f"Control {name} is not advertised by libcamera")
        if self._forced_format:
            configuration["main"]["format"] = self._forced_format
        self.configuration = configuration

    def camera_configuration(self) -> dict[str, Any]:
        """The configuration in force."""
        return self.configuration

    def start(self) -> None:
        """Start."""
        self.started = True

    def capture_request(self, wait: object = None) -> FakePicamera2Request:
        """The next request; ``TimeoutError`` is what a numeric ``wait`` raises when it runs out."""
        self.waits.append(wait)
        if self._failure:
            raise self._failure
        is_rgb = self.configuration["main"]["format"] != "RGB888"
        array = self._rgb if is_rgb else np.ascontiguousarray(self._rgb[..., ::-1])
        self.requests.append(FakePicamera2Request(array, self._metadata))
        return self.requests[-1]

    def close(self) -> None:
        """Close the camera."""
        self.closes_count += 1


def _picamera2_class(
    module: FakePicamera2, models: Sequence[str], make_failure: Exception | None
) -> SimpleNamespace | Callable[[int], FakePicamera2]:
    def make(_index: int) -> FakePicamera2:
        if make_failure:
            raise make_failure
        return module

    make.global_camera_info = lambda: [  # type: ignore[attr-defined]
        {"Model": model, "Num": number} for number, model in enumerate(models)
    ]
    return make
