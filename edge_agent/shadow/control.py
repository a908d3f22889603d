"""Starts and ends candidates: at most one judges beside the model in use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import Reading
from edge_agent.contracts import ModelIdentity, ShadowMetrics
from edge_agent.shadow.shadow import Shadow, ShadowSummary

OnSummary = Callable[[ShadowSummary], None]


@dataclass(frozen=True, slots=True)
class ShadowCallbacks:
    """Functions that are called about candidates."""

    on_start: Callable[[ModelIdentity], None]
    """Called by ``start``."""
    on_end: OnSummary
    """Called once for each candidate, in its own thread."""


class ShadowControl:
    """None or one candidate. Any thread may use it.

    The candidate's interpreter and arrays exist only from ``start`` to the end.
    """

    def __init__(self, callbacks: ShadowCallbacks) -> None:
        self._callbacks = callbacks
        self._control = threading.Lock()
        self._shadow: Shadow | None = None
        self._last: ShadowSummary | None = None
        self._stopping = False

    @property
    def figures(self) -> ShadowMetrics | None:
        """Figures of the current candidate; None if there is none."""
        shadow = self._shadow
        return None if shadow is None else shadow.figures

    @property
    def last(self) -> ShadowSummary | None:
        """The summary of the previous candidate, until the next one starts or this one is dismissed."""
        return self._last

    def start(
        self, analyzer: Analyzer, *, enough_count: int | None = None, on_summary: OnSummary | None = None
    ) -> None:
        """Judge beside the model in use with ``analyzer``, replacing any candidate. It does not survive a restart.

        With ``enough_count``, at least 1, the candidate ends when this many fields were compared. ``on_summary`` is
        called once with its summary, whatever ends it, in the candidate's thread: it must not call this object.
        """

        def ended(shadow: Shadow, summary: ShadowSummary) -> None:
            if self._shadow is shadow:
                self._last, self._shadow = summary, None
            try:
                self._callbacks.on_end(summary)
            finally:
                if on_summary is not None:
                    on_summary(summary)

        with self._control:
            self._stop()
            if self._stopping:
                return
            self._last = None
            self._shadow = shadow = Shadow(analyzer, enough_count=enough_count, on_end=ended)
            self._callbacks.on_start(shadow.model)
            shadow.start()

    def dismiss(self) -> None:
        """End the candidate, if there is one, and forget the summary of the previous one."""
        with self._control:
            self._stop()
            self._last = None

    def close(self) -> None:
        """End the candidate, and start none again."""
        with self._control:
            self._stopping = True
            self._stop()

    def offer(self, reading: Reading) -> None:
        """Pass on a reading of the model in use. Never blocks and never raises."""
        shadow = self._shadow
        if shadow is not None:
            shadow.offer(reading)

    def _stop(self) -> None:
        shadow = self._shadow
        if shadow is not None:
            shadow.stop()
