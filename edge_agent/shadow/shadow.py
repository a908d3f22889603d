"""One candidate: a thread that judges the newest frame after the model in use, while nothing else needs the frame."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import Reading
from edge_agent.contracts import ModelIdentity, Outcome, Reason, ShadowMetrics
from edge_agent.priority import lower_priority
from edge_agent.shadow.comparison import Comparison, percentiles

log = logging.getLogger(__name__)

FAILURES_MAX = 5
"""This many failures in a row end a candidate: it would not do better as the model in use."""

LATENCIES_MAX = 1000


class ShadowEnd(StrEnum):
    """Why a candidate judges no longer."""

    STOPPED = "stopped"
    """It was told to stop, or another took its place."""
    ENOUGH = "enough"
    """It was compared on as many fields as requested."""
    FAILED = "failed"
    """It failed several times in a row."""
    IN_USE = "in_use"
    """It became the model in use."""


@dataclass(frozen=True, slots=True)
class ShadowSummary:
    """The result of a candidate's time in the shadow."""

    end: ShadowEnd
    figures: ShadowMetrics
    last_failure: str | None
    """The last failure, if there was one."""


class Shadow:
    """A candidate's analyzer with its thread and counts, from start to end. It is not started again.

    At most one reading waits for it, the newest. The analysis never waits: ``offer`` takes microseconds.
    """

    def __init__(
        self, analyzer: Analyzer, *, enough_count: int | None, on_end: Callable[[Shadow, ShadowSummary], None]
    ) -> None:
        """Judge with ``analyzer``, which nothing else may use, until ``enough_count`` fields were compared, if given.

        ``on_end`` is called once, in the thread, after the last judgement. Nothing runs before ``start``.
        """
        self._analyzer = analyzer
        self._enough_count = enough_count
        self._on_end = on_end
        self._changed = threading.Condition()
        self._waiting: Reading | None = None
        self._end: ShadowEnd | None = None
        self._active: ModelIdentity | None = None
        self._failures_in_a_row = 0
        self._last_failure: str | None = None
        self._begin_counting()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    @property
    def model(self) -> ModelIdentity:
        """The candidate."""
        return self._analyzer.model

    @property
    def figures(self) -> ShadowMetrics:
        """The counts so far. Any thread may ask."""
        with self._changed:
            # Copied, since ``offer`` must not wait for the percentiles.
            agreement, latencies_ms = self._comparison.figures(), list(self._latencies_ms)
            since, passed_over_count, failures_count = self._since, self._passed_over_count, self._failures_count
        return ShadowMetrics(
            model=self._analyzer.model,
            provisional=self._analyzer.provisional,
            since=since,
            passed_over_count=passed_over_count,
            failures_count=failures_count,
            latency_ms=percentiles(latencies_ms),
            **dict(agreement),
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer(self, reading: Reading) -> None:
        """Offer a reading of the model in use: the candidate judges its frame next, unless a newer one comes first.

        Never blocks and never raises.
        """
        if reading.reason is Reason.MOVING:
            # The candidate sees one frame at a time, and cannot tell that it moved.
            return
        with self._changed:
            if self._end is not None:
                return
            if reading.model == self._analyzer.model:
                self._end = ShadowEnd.IN_USE
            elif self._waiting is not None:
                self._passed_over_count += 1
            self._waiting = reading
            self._changed.notify()

    def stop(self) -> None:
        """Finish the current judgement, and end. If called from another thread, waits until the candidate has ended."""
        with self._changed:
            self._end = self._end or ShadowEnd.STOPPED
            self._changed.notify()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _begin_counting(self) -> None:
        self._comparison = Comparison()
        self._passed_over_count = 0
        self._failures_count = 0
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES_MAX)
        self._since = datetime.now(UTC)

    def _run(self) -> None:
        lower_priority()
        while (active := self._next()) is not None:
            began_s = time.perf_counter()
            try:
                candidate = self._analyzer.analyse(active.frame)
            except Exception as error:
                # The analyzer promises not to, but a candidate may be anything, and readings must go on.
                log.exception("the candidate %s failed", self.model.name)
                self._add_failure(f"{type(error).__name__}: {error}")
                continue
            self._add(active, candidate, 1000 * (time.perf_counter() - began_s))
        summary = ShadowSummary(self._end or ShadowEnd.STOPPED, self.figures, self._last_failure)
        try:
            self._on_end(self, summary)
        except Exception:
            log.exception("the end of the candidate %s could not be told", self.model.name)

    def _next(self) -> Reading | None:
        """Wait for a reading; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is not None or self._end is not None)
            if self._end is not None:
                return None
            reading, self._waiting = self._waiting, None
            return reading

    def _add(self, active: Reading, candidate: Reading, took_ms: float) -> None:
        if candidate.outcome is Outcome.FAILED and active.outcome is not Outcome.FAILED:
            error = candidate.error
            self._add_failure("unknown" if error is None else f"{error.code}: {error.message}")
            return
        with self._changed:
            if active.model != self._active:
                # Another model's answers for earlier fields do not count.
                if self._active is not None:
                    self._begin_counting()
                self._active = active.model
            self._failures_in_a_row = 0
            self._latencies_ms.append(took_ms)
            self._comparison.add(active, candidate)
            if self._enough_count is not None and self._comparison.compared_count >= self._enough_count:
                self._end = self._end or ShadowEnd.ENOUGH

    def _add_failure(self, message: str) -> None:
        with self._changed:
            self._last_failure = message
            self._failures_count += 1
            self._failures_in_a_row += 1
            if self._failures_in_a_row >= FAILURES_MAX:
                self._end = self._end or ShadowEnd.FAILED
