"""USB cameras. Frames stay compressed, so that they can be decoded at the scale that is needed."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2

from edge_agent.cameras.captured_jpeg import captured_jpeg
from edge_agent.cameras.frame import ColourOrder, Frame, Pixels, frame_now
from edge_agent.cameras.opencv_capture import OpenCvCapture
from edge_agent.cameras.settings import V4L2Settings
from edge_agent.contracts import CaptureSettings
from edge_agent.errors import CameraAbsent, CameraLost

_log = logging.getLogger(__name__)

BY_ID = Path("/dev/v4l/by-id")
"""Names from udev, by make and serial number. They stay the same when ``/dev/videoN`` changes."""

_MJPG = cv2.VideoWriter.fourcc(*"MJPG")
# V4L2's own numbers: V4L2_EXPOSURE_MANUAL, and exposure_absolute in steps of 100 µs.
_EXPOSURE_MANUAL = 1
_EXPOSURE_STEP_US = 100


def find_device(by_id: Path = BY_ID) -> Path:
    """The only camera. Raises ``CameraAbsent`` if there is none, or several, which it names."""
    # index0 delivers pictures; the other devices of the same camera deliver metadata.
    found = sorted(by_id.glob("*-video-index0"))
    if not found:
        raise CameraAbsent(f"There is no USB camera in {by_id}.")
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise CameraAbsent(f"There are {len(found)} USB cameras: {names}.", remedy="Set camera.device to one of them.")
    return found[0]


class V4L2Camera:
    """Live. ``Encoded`` JPEG if the camera delivers MJPG, else BGR pixels converted by OpenCV.

    A JPEG that is incomplete, or not of the size that the driver declares, is a frame with an ``ImageError``. For an
    uncompressed picture OpenCV does not report whether all of it arrived.
    """

    def __init__(self, settings: V4L2Settings, *, by_id: Path = BY_ID) -> None:
        self._settings = settings
        self._by_id = by_id
        self._capture = OpenCvCapture(f"USB camera {settings.device}")
        self._reported = CaptureSettings()

    @property
    def id(self) -> str:
        """One topic segment."""
        return self._settings.id

    @property
    def live(self) -> bool:
        """True."""
        return True

    def open(self) -> None:
        """Open the device, request the settings and read back what the driver set.

        Raises ``CameraAbsent``. A setting that the driver refuses is only a warning: the picture is still usable.
        """
        settings = self._settings
        device = find_device(self._by_id) if settings.device == "auto" else Path(settings.device)
        if not device.exists():
            raise CameraAbsent(f"There is no USB camera {device}.")
        self._capture.name = f"USB camera {device}"
        self._capture.open(str(device), cv2.CAP_V4L2, {})
        # The format first: sizes and rates depend on it. One buffer: only the newest frame counts.
        wishes = {
            "pixel format": (cv2.CAP_PROP_FOURCC, _MJPG),
            "width_px": (cv2.CAP_PROP_FRAME_WIDTH, settings.width_px),
            "height_px": (cv2.CAP_PROP_FRAME_HEIGHT, settings.height_px),
            "frame_rate_hz": (cv2.CAP_PROP_FPS, settings.frame_rate_hz),
            "buffers": (cv2.CAP_PROP_BUFFERSIZE, 1),
        }
        if settings.exposure_us is not None:
            wishes["manual exposure"] = (cv2.CAP_PROP_AUTO_EXPOSURE, _EXPOSURE_MANUAL)
            wishes["exposure (100 µs)"] = (cv2.CAP_PROP_EXPOSURE, round(settings.exposure_us / _EXPOSURE_STEP_US))
        if settings.gain_steps is not None:
            wishes["gain_steps"] = (cv2.CAP_PROP_GAIN, settings.gain_steps)
        if settings.white_balance_k is not None:
            wishes["manual white balance"] = (cv2.CAP_PROP_AUTO_WB, 0)
            wishes["white_balance_k"] = (cv2.CAP_PROP_WB_TEMPERATURE, settings.white_balance_k)
        for prop, value in wishes.values():
            self._capture.ask(prop, value)
        self._warn_of_unmet(wishes)
        self._reported = self._report()
        self._capture.ask(cv2.CAP_PROP_CONVERT_RGB, 0 if self._reported.pixel_format == "MJPG" else 1)

    def read(self) -> Frame:
        """The next frame. Raises ``CameraLost`` if none arrives; a broken JPEG is a frame with an ``ImageError``."""
        image = self._capture.read()
        if image is None:
            raise CameraLost(f"{self._capture.name} delivers no more frames.")
        if self._reported.pixel_format == "MJPG":
            declared = self._reported.width_px, self._reported.height_px
            jpeg = captured_jpeg(image, self._capture.name, size_px=declared)
            return frame_now(self.id, jpeg, settings=self._reported)
        return frame_now(self.id, Pixels(image, ColourOrder.BGR), settings=self._reported)

    def close(self) -> None:
        """Close the device, as soon as no other thread is in the driver."""
        self._capture.close()

    def _warn_of_unmet(self, wishes: dict[str, tuple[int, float]]) -> None:
        got = {name: self._capture.reported(prop) for name, (prop, _) in wishes.items()}
        unmet = [
            f"{name} asked {_shown(prop, value)}, is {_shown(prop, got[name])}"
            for name, (prop, value) in wishes.items()
            if got[name] != value
        ]
        if unmet:
            _log.warning("%s did not accept every setting: %s.", self._capture.name, "; ".join(unmet))

    def _report(self) -> CaptureSettings:
        reported = self._capture.reported
        fourcc = reported(cv2.CAP_PROP_FOURCC)
        width, height = reported(cv2.CAP_PROP_FRAME_WIDTH), reported(cv2.CAP_PROP_FRAME_HEIGHT)
        exposure = reported(cv2.CAP_PROP_EXPOSURE)
        modes = reported(cv2.CAP_PROP_AUTO_EXPOSURE), reported(cv2.CAP_PROP_AUTO_WB)
        # The gain is in the driver's own steps, not a ratio, so it is not reported.
        return CaptureSettings(
            width_px=round(width) if width else None,
            height_px=round(height) if height else None,
            pixel_format=_four_letters(fourcc),
            exposure_us=None if exposure is None else exposure * _EXPOSURE_STEP_US,
            colour_temperature_k=reported(cv2.CAP_PROP_WB_TEMPERATURE),
            locked=None if None in modes else modes == (_EXPOSURE_MANUAL, 0),
        )


def _shown(prop: int, value: float | None) -> str:
    if value is None:
        return "unknown"
    return str(_four_letters(value)) if prop == cv2.CAP_PROP_FOURCC else f"{value:g}"


def _four_letters(fourcc: float | None) -> str | None:
    if not fourcc:
        return None
    letters = int(fourcc).to_bytes(4, "little").decode("ascii", "replace")
    return letters if letters.isprintable() else None
