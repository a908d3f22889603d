"""Notices when readings stay slower than the target for which bundle and threads were chosen."""

from __future__ import annotations

import math
import threading

from edge_agent.analysis.reading import Reading
from edge_agent.contracts import Check, Outcome
from edge_agent.errors import SpeedMissed

BLOCK_READINGS = 100
"""Readings of which the 95th percentile is taken."""
SLOW_BLOCKS = 2
"""So many slow ones in a row are no single interruption."""

_JUDGED = {Outcome.CLASSIFIED, Outcome.ABSTAINED}

NAME = "speed"


class SpeedMonitor:
    """Compares the 95th percentile of the readings' time with the target, block after block. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._target_ms: float | None = None
        self._problem: SpeedMissed | None = None
        self._times_ms: list[float] = []
        self._slow_blocks_count = 0

    def use(self, target_ms: float | None, problem: SpeedMissed | None) -> None:
        """From now on the target is another one; None for none. ``problem`` is what the test at the start found."""
        with self._lock:
            self._target_ms, self._problem = target_ms, problem
            self._times_ms.clear()
            self._slow_blocks_count = 0

    def add(self, reading: Reading) -> None:
        """Count a reading, unless its field was not judged, which takes less."""
        total_ms = reading.latency_ms.get("total")
        if reading.outcome not in _JUDGED or total_ms is None:
            return
        with self._lock:
            if self._target_ms is None:
                return
            self._times_ms.append(total_ms)
            if len(self._times_ms) >= BLOCK_READINGS:
                self._end_block(self._target_ms)

    def check(self) -> Check | None:
        """None if there is no target."""
        with self._lock:
            return None if self._target_ms is None else Check.from_error(NAME, self._problem)

    def _end_block(self, target_ms: float) -> None:
        p95_ms = sorted(self._times_ms)[math.ceil(0.95 * len(self._times_ms)) - 1]
        self._times_ms.clear()
        self._slow_blocks_count = self._slow_blocks_count + 1 if p95_ms > target_ms else 0
        if not self._slow_blocks_count:
            self._problem = None
        elif self._slow_blocks_count >= SLOW_BLOCKS:
            self._problem = SpeedMissed(
                f"95 % of the last {BLOCK_READINGS} readings took at most {p95_ms:.1f} ms; the target is "
                f"{target_ms:g} ms."
            )
