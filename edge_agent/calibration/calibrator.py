"""Measures one frame after the other, and sums up the measurements."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from edge_agent.calibration.illumination import Illumination, measure_illumination
from edge_agent.calibration.micrometer import measure_divisions
from edge_agent.calibration.pixels import frame_rgb
from edge_agent.calibration.scales import FrameScale, combine
from edge_agent.calibration.smear import measure_red_cell_scale
from edge_agent.calibration.verdicts import light_checks, light_of, scale_check
from edge_agent.cameras.frame import Frame
from edge_agent.contracts import Calibration, CalibrationMethod, MeasuredLight, MeasuredScale
from edge_agent.errors import BackgroundMissing, EdgeAgentError, ImageError, ScaleUnreadable
from edge_agent.vision.decode import DEFAULT_MAX_PIXELS
from edge_agent.vision.quality import change_pct, thumbnail

DEFAULT_DIVISION_UM = 10.0

_TOLERANCE = {CalibrationMethod.SMEAR: 0.15, CalibrationMethod.MICROMETER: 0.02}
"""How far frames of the same scale may differ, as a share: cells of two fields differ, lines do not."""

_NEW_FIELD_CHANGE_PCT = 4.0
"""The same as the default of ``trigger.new_field_change_pct``."""


class Calibrator:
    """Takes frames one by one, so that only one of them is in memory."""

    def __init__(
        self,
        method: CalibrationMethod,
        *,
        division_um: float = DEFAULT_DIVISION_UM,
        configured_um_per_pixel: float | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
    ) -> None:
        """``division_um`` is the distance of a micrometer's lines. ``max_pixels`` bounds the decoded frames."""
        self.frames_count = 0
        self.frames_skipped_count = 0
        self._method = method
        self._division_um = division_um
        self._configured = configured_um_per_pixel
        self._max_pixels = max_pixels
        self._size_px: tuple[int, int] | None = None
        self._scales: list[FrameScale] = []
        self._lights: list[Illumination] = []
        self._scale_errors: list[ScaleUnreadable] = []
        self._light_errors: list[BackgroundMissing] = []
        self._image_error: ImageError | None = None
        self._thumbnail: NDArray[np.uint8] | None = None
        self._field = 0

    def add(self, frame: Frame) -> ImageError | None:
        """Measure a frame. Returns why it was skipped, None if it was not; never raises for its content."""
        try:
            rgb = frame_rgb(frame, max_pixels=self._max_pixels)
            self._require_size(rgb.shape[1], rgb.shape[0])
        except ImageError as error:
            self.frames_skipped_count += 1
            self._image_error = error
            return error
        self.frames_count += 1
        try:
            self._scales.append(replace(self._measure_scale(rgb), field=self._field_number(rgb)))
        except ScaleUnreadable as error:
            self._scale_errors.append(error)
        try:
            self._lights.append(measure_illumination(rgb))
        except BackgroundMissing as error:
            self._light_errors.append(error)
        return None

    def _require_size(self, width_px: int, height_px: int) -> None:
        if self._size_px not in {None, (width_px, height_px)}:
            raise ImageError(
                f"The picture has {width_px} x {height_px} px, unlike the first.",
                remedy="Calibrate with pictures of one size: that of the camera's frames.",
            )
        self._size_px = width_px, height_px

    def _field_number(self, rgb: NDArray[np.uint8]) -> int:
        before, self._thumbnail = self._thumbnail, thumbnail(rgb)
        if before is not None and change_pct(before, self._thumbnail) >= _NEW_FIELD_CHANGE_PCT:
            self._field += 1
        return self._field

    def _measure_scale(self, rgb: NDArray[np.uint8]) -> FrameScale:
        if self._method is CalibrationMethod.SMEAR:
            return measure_red_cell_scale(rgb)
        found = measure_divisions(rgb)
        division = self._division_um
        return FrameScale(
            division / found.period_px, division / found.high_px, division / found.low_px, found.lines_count
        )

    def finish(self, at: datetime | None = None) -> Calibration:
        """The calibration from all frames. Raises ``ImageError`` if no frame could be read."""
        if self._size_px is None:
            raise self._image_error or ImageError("There was no picture.")
        scale = self._scale()
        light: MeasuredLight | EdgeAgentError = (
            light_of(self._lights) if self._lights else _most_common(self._light_errors)
        )
        offset = float(np.median([each.centre_offset_pct for each in self._lights])) if self._lights else 0.0
        return Calibration(
            at=at if at is not None else datetime.now(UTC),
            method=self._method,
            frame_width_px=self._size_px[0],
            frame_height_px=self._size_px[1],
            frames_count=self.frames_count,
            frames_skipped_count=self.frames_skipped_count,
            scale=scale if isinstance(scale, MeasuredScale) else None,
            light=light if isinstance(light, MeasuredLight) else None,
            checks=(
                scale_check(scale, self._method, self._configured, self._division_um),
                *light_checks(light, offset),
            ),
        )

    def _scale(self) -> MeasuredScale | EdgeAgentError:
        if len(self._scale_errors) > len(self._scales):
            return _most_common(self._scale_errors)
        try:
            return combine(self._scales, tolerance=_TOLERANCE[self._method])
        except ScaleUnreadable as error:
            return error


def _most_common(errors: list[ScaleUnreadable] | list[BackgroundMissing]) -> EdgeAgentError:
    message = Counter(error.message for error in errors).most_common(1)[0][0]
    return next(error for error in errors if error.message == message)
