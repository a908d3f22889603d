"""Takes readings: each becomes a result and goes into the spool."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edge_agent.analysis.reading import Reading
from edge_agent.analysis.results import ResultMaker
from edge_agent.contracts import Result, Topics
from edge_agent.monitoring.latency import LatencyRecorder
from edge_agent.monitoring.reading_counts import ReadingCounts
from edge_agent.monitoring.scale_events import ScaleEvents
from edge_agent.specimens.tracker import SpecimenTracker

log = logging.getLogger(__name__)

OnResult = Callable[[Result, Reading], None]


class ResultSink:
    """Counts every reading as accepted or refused by the spool. ``keep`` belongs to the inference thread."""

    def __init__(
        self,
        results: ResultMaker,
        specimens: SpecimenTracker,
        latency: LatencyRecorder,
        scale_events: ScaleEvents,
        *,
        on_accepted: Callable[[Result], None],
        on_refused: Callable[[], None],
        on_result: OnResult | None,
    ) -> None:
        self.counts = ReadingCounts()
        """Replaced as a whole with each reading."""
        self.refused_count = 0
        self._results = results
        self._specimens = specimens
        self._latency = latency
        self._scale_events = scale_events
        self._on_accepted = on_accepted
        self._on_refused = on_refused
        self._on_result = on_result

    @property
    def readings_count(self) -> int:
        """Readings since the agent started."""
        return self.counts.readings_count

    def rename(self, topics: Topics) -> None:
        """From the next result on, the device is at another site, or has another id."""
        self._results.site, self._results.device = topics.site, topics.device

    def keep(self, reading: Reading) -> Result:
        """Make a reading a result, and hand it to the spool."""
        result, refusal = self._specimens.append(reading, lambda place: self._results.make(reading, place))
        self.counts = self.counts.counting(result)
        if refusal is None:
            self._on_accepted(result)
        else:
            self.refused_count += 1
            log.debug("%s", refusal)
            self._on_refused()
        self._latency.add(result.latency_ms)
        self._scale_events.add(result.scale)
        if self._on_result is not None:
            self._on_result(result, reading)
        return result
