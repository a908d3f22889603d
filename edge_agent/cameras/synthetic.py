"""A camera without hardware that shows one drawn field for a while, then the next."""

from __future__ import annotations

import threading
import time
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.cameras.frame import ColourOrder, Frame, Pixels, frame_now
from edge_agent.cameras.settings import SyntheticSettings
from edge_agent.cameras.smear import draw_smear
from edge_agent.contracts import CaptureSettings
from edge_agent.errors import CameraLost

_NOISE_SIGMA_LEVELS = 2.0
_NOISE_SHIFTS = 64
_FOCUS_SIGMA_UM = 0.28
_BLURRED_SIGMA_UM = 2.8
_OVER_EXPOSURE_RATIO = 1.6
_SHARP_SIGMA_PX = 0.05
"""A smaller blur changes no pixel."""


class Fault(StrEnum):
    """Faults of a field. Named in the frame's source."""

    BLURRED = "blurred"
    EMPTY = "empty"
    OVER_EXPOSED = "over-exposed"


class SyntheticCamera:
    """Live. Field ``n`` depends on the seed and ``n`` alone; the noise is fresh in every frame.

    ``Frame.source`` is the truth: ``synthetic:pre-b`` or ``synthetic:pre-b:blurred``; during a sweep of the focus also
    the standard deviation of the blur that it adds: ``synthetic:pre-b:focus-1.40um``.
    """

    def __init__(self, settings: SyntheticSettings) -> None:
        self._settings = settings
        self._closed = threading.Event()
        self._frames_count = 0
        self._due_s = 0.0
        self._shift = 0
        size = settings.height_px, settings.width_px
        self._capture = CaptureSettings(height_px=size[0], width_px=size[1])
        self._noise_rng = np.random.default_rng([settings.seed, 0])
        # One tile, shifted for each frame: new noise for each would cost more than everything else.
        shape = size[0] + _NOISE_SHIFTS, size[1] + _NOISE_SHIFTS, 3
        tile = self._noise_rng.standard_normal(shape, np.float32)
        tile *= _NOISE_SIGMA_LEVELS
        np.clip(np.rint(tile, out=tile), -127, 127, out=tile)
        self._noise: NDArray[np.int8] = tile.astype(np.int8)
        self._field: NDArray[np.uint8] = np.zeros((*size, 3), np.uint8)
        self._label = ""
        self._fault: Fault | None = None

    @property
    def id(self) -> str:
        """One topic segment."""
        return self._settings.id

    @property
    def live(self) -> bool:
        """True: frames come at their rate, whether they are read or not."""
        return True

    def open(self) -> None:
        """Start the clock."""
        self._due_s = time.monotonic()

    def read(self) -> Frame:
        """The next frame when it is due. Raises ``CameraLost`` once closed."""
        if self._closed.wait(max(0.0, self._due_s - time.monotonic())):
            raise CameraLost(f"Synthetic camera {self.id} was closed.")
        self._due_s = max(time.monotonic(), self._due_s + 1 / self._settings.frame_rate_hz)
        field, position = divmod(self._frames_count, self._settings.frames_per_field_count)
        if position == 0:
            self._draw_field(field)
        self._frames_count += 1
        parts = ["synthetic", self._label, *([self._fault] if self._fault else [])]
        blur_um = self._blur_um(position)
        if blur_um is not None:
            parts.append(f"focus-{blur_um:.2f}um")
        source = ":".join(parts)
        pixels = Pixels(self._expose(blur_um or 0.0), ColourOrder.RGB)
        return frame_now(self.id, pixels, settings=self._capture, source=source)

    def close(self) -> None:
        """End a waiting ``read``."""
        self._closed.set()

    def _draw_field(self, number: int) -> None:
        settings = self._settings
        rng = np.random.default_rng([settings.seed, 1, number])
        self._label = settings.labels[rng.integers(len(settings.labels))]
        is_bad = rng.random() < settings.bad_fields_ratio
        self._fault = list(Fault)[rng.integers(len(Fault))] if is_bad else None
        focus_um = _BLURRED_SIGMA_UM if self._fault is Fault.BLURRED else _FOCUS_SIGMA_UM
        self._field, _ = draw_smear(
            rng,
            self._label,
            size_px=(settings.height_px, settings.width_px),
            um_per_pixel=settings.um_per_pixel,
            focus_sigma_px=focus_um / settings.um_per_pixel,
            noise_sigma_levels=0,
            empty=self._fault is Fault.EMPTY,
            stain=settings.stain,
        )

    def _blur_um(self, position: int) -> float | None:
        """The sweep's blur in this frame of a field, in the middle the most; None without a sweep."""
        settings = self._settings
        if settings.focus_sweep_um == 0:
            return None
        way = position / max(1, settings.frames_per_field_count - 1)
        return settings.focus_sweep_um * (1 - abs(2 * way - 1))

    def _expose(self, blur_um: float) -> NDArray[np.uint8]:
        # Never the same shift twice in a row, so that no two consecutive frames are identical.
        self._shift = (self._shift + int(self._noise_rng.integers(1, _NOISE_SHIFTS**2))) % _NOISE_SHIFTS**2
        top, left = divmod(self._shift, _NOISE_SHIFTS)
        height, width = self._field.shape[:2]
        noise = self._noise[top : top + height, left : left + width]
        seen = self._field
        sigma_px = blur_um / self._settings.um_per_pixel
        if sigma_px > _SHARP_SIGMA_PX:
            seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), sigma_px), dtype=np.uint8)
        frame = cv2.add(seen, noise, dtype=cv2.CV_8U)
        if self._fault is Fault.OVER_EXPOSED:
            frame = cv2.convertScaleAbs(frame, alpha=_OVER_EXPOSURE_RATIO)
        return np.asarray(frame, np.uint8)
