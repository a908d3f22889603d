"""An event when the configured scale and the red cells contradict each other."""

from __future__ import annotations

from collections import deque
from statistics import median

from edge_agent.contracts import EventKind, Scale
from edge_agent.events.recorder import EventRecorder

WINDOW_COUNT = 20
"""So many of the newest comparisons are judged together: single fields are wrong about once in ten."""

MIN_COUNT = 10


class ScaleEvents:
    """Records when most readings begin to disagree with the configured scale. Belongs to one thread."""

    def __init__(self, events: EventRecorder) -> None:
        self._events = events
        self._newest: deque[Scale] = deque(maxlen=WINDOW_COUNT)
        self._disagreeing = False

    def add(self, scale: Scale | None) -> None:
        """Take a reading's scale into account. One without either scale says nothing."""
        if scale is None or scale.disagrees is None or scale.um_per_pixel is None:
            return
        if self._newest and self._newest[-1].um_per_pixel != scale.um_per_pixel:
            # Another scale was configured: what was compared with the one before does not count.
            self._newest.clear()
            self._disagreeing = False
        self._newest.append(scale)
        disagreeing = sum(each.disagrees is True for each in self._newest)
        if len(self._newest) < MIN_COUNT:
            return
        was, self._disagreeing = self._disagreeing, 2 * disagreeing > len(self._newest)
        if self._disagreeing and not was:
            estimates = [
                each.estimated_um_per_pixel for each in self._newest if each.estimated_um_per_pixel is not None
            ]
            estimate = float(f"{median(estimates):.4g}")
            self._events.record(
                EventKind.SCALE_DISAGREES,
                f"The configured scale is {scale.um_per_pixel:g} µm per pixel, but the red cells show {estimate:g}. "
                "Check the objective and camera.um_per_pixel.",
                um_per_pixel=scale.um_per_pixel,
                estimated_um_per_pixel=estimate,
                readings_count=len(self._newest),
                disagreeing_count=disagreeing,
            )
