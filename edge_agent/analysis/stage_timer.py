"""Times the stages of a reading."""

from __future__ import annotations

import time


class StageTimer:
    """Milliseconds per stage, in the order of the stages. Moves with its frame from thread to thread."""

    def __init__(self, waiting_ms: float) -> None:
        """Start now. ``waiting_ms`` is how long the frame waited before its first stage."""
        self._waiting_ms = waiting_ms
        self._laps_ms: dict[str, float] = {}
        self._beside_ms: dict[str, float] = {}
        self._last = time.perf_counter()

    @classmethod
    def since(cls, monotonic_ns: int) -> StageTimer:
        """Start now, for a frame that was captured at ``monotonic_ns`` (``time.monotonic_ns()``)."""
        return cls(max(0.0, (time.monotonic_ns() - monotonic_ns) / 1e6))

    def lap(self, stage: str) -> None:
        """Add the time since the last lap to ``stage``."""
        now = time.perf_counter()
        self._laps_ms[stage] = self._laps_ms.get(stage, 0.0) + (now - self._last) * 1e3
        self._last = now

    def beside(self, stage: str, milliseconds: float) -> None:
        """Record how long ``stage`` took in another thread while the stages of this thread went on."""
        self._beside_ms[stage] = milliseconds

    def skip(self) -> None:
        """Do not count the time since the last lap for any stage."""
        self._last = time.perf_counter()

    @property
    def latency_ms(self) -> dict[str, float]:
        """``waiting``, each stage, and ``total``, to a microsecond.

        ``total`` is the sum of the stages without ``waiting`` and without those that ran beside others.
        """
        stages = {stage: round(ms, 3) for stage, ms in {**self._laps_ms, **self._beside_ms}.items()}
        return {"waiting": round(self._waiting_ms, 3), **stages, "total": round(sum(self._laps_ms.values()), 3)}
