"""Whether a field is fit to be judged."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.contracts import Reason
from edge_agent.vision.quality import FieldQuality
from edge_agent.vision.settings import QualityLimits


def rejection_reason(
    measured: FieldQuality, coverage_pct: float, motion_pct: float | None, limits: QualityLimits
) -> Reason | None:
    """The first reason for which a field is not fit to be judged, or None.

    ``coverage_pct`` is the share of the field that is nucleus; ``motion_pct`` the change against the field before,
    None where there is none. Reasons that distort the other measures come first: a black field is under-exposed, not
    empty or blurred. Plain background is empty, not a picture without colour, and says nothing about the camera.
    """
    no_nuclei = coverage_pct < limits.min_coverage_pct
    empty = no_nuclei and measured.foreground_pct < limits.min_foreground_pct
    checks = (
        (Reason.UNDER_EXPOSED, measured.brightness_pct < limits.min_brightness_pct),
        (Reason.UNDER_EXPOSED, measured.clipped_dark_pct > limits.max_clipped_dark_pct),
        (Reason.OVER_EXPOSED, _over_exposed(measured, limits)),
        (Reason.NO_COLOUR, not empty and measured.colourfulness_delta_e < limits.min_colourfulness_delta_e),
        (Reason.COLOUR_CAST, measured.colour_cast_delta_e > limits.max_colour_cast_delta_e),
        (Reason.MOVING, motion_pct is not None and motion_pct > limits.max_motion_pct),
        (Reason.EMPTY_FIELD, empty),
        (Reason.NO_NUCLEATED_CELLS, no_nuclei),
        (Reason.BLURRED, measured.focus_score is not None and measured.focus_score < limits.min_focus_score),
    )
    return next((reason for reason, unfit in checks if unfit), None)


def looks_unfit(thumbnail: NDArray[np.uint8], motion_pct: float | None, limits: QualityLimits) -> bool:
    """Whether a field is about to be rejected, by checks that cost next to nothing.

    ``thumbnail`` is the field's, uint8 grey. If the answer is no, ``rejection_reason`` may still find a reason.
    """
    if motion_pct is not None and motion_pct > limits.max_motion_pct:
        return True
    return 100.0 * cv2.mean(thumbnail)[0] / 255.0 < limits.min_brightness_pct


def _over_exposed(measured: FieldQuality, limits: QualityLimits) -> bool:
    """Judge exposure by the nuclei if there are any: clipped glass between the cells carries no information."""
    if measured.clipped_nuclei_pct is not None:
        return measured.clipped_nuclei_pct > limits.max_clipped_nuclei_pct
    return (
        measured.brightness_pct > limits.max_brightness_pct
        or measured.clipped_bright_pct > limits.max_clipped_bright_pct
    )
