"""Measures the frames that pass for a calibration, while they are read as always."""

from __future__ import annotations

import logging
import time

from edge_agent.acquisition.frame_requests import FrameRequest
from edge_agent.calibration.calibrator import Calibrator
from edge_agent.calibration.record import keep_calibration
from edge_agent.config import Config
from edge_agent.contracts import Calibrate, Calibration
from edge_agent.errors import FileUnusable

log = logging.getLogger(__name__)

FRAME_DEADLINE_S = 30.0
CALIBRATION_DEADLINE_S = 90.0
"""For all frames; each has the deadline of a frame."""


def run_calibration(asked: Calibrate, frames: FrameRequest, config: Config) -> Calibration | None:
    """Measure the next frames and keep what was found in the state folder; None if no frame came.

    Fewer frames than asked for are enough. Raises ``AgentPaused``, or ``ImageError`` if none can be read.
    """
    calibrator = Calibrator(
        asked.method,
        division_um=asked.division_um,
        configured_um_per_pixel=config.camera.um_per_pixel,
        max_pixels=round(config.analysis.max_image_megapixels * 1e6),
    )
    deadline_s = time.monotonic() + CALIBRATION_DEADLINE_S
    seen_count = 0
    while seen_count < asked.frames_count and (left_s := deadline_s - time.monotonic()) > 0:
        frame = frames.next(min(left_s, FRAME_DEADLINE_S))
        if frame is None:
            break
        calibrator.add(frame)
        seen_count += 1
    if not seen_count:
        return None
    found = calibrator.finish()
    try:
        keep_calibration(config.state.folder, found)
    except FileUnusable as error:
        # The sender gets it all the same.
        log.warning("the calibration could not be kept: %s", error)
    return found
