"""The Edge TPU that runs the network of the model in use, if there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.settings import AnalysisSettings
from edge_agent.contracts import Check, EventKind
from edge_agent.errors import EdgeTpuModelMissing
from edge_agent.events.recorder import EventRecorder
from edge_agent.inference.classifier import EDGE_TPU
from edge_agent.inference.edgetpu.edge_tpu import EdgeTpu, EdgeTpuLost, EdgeTpuReady
from edge_agent.inference.edgetpu.options import EdgeTpuOptions

CHECK = "accelerator"


@dataclass(frozen=True, slots=True)
class _InUse:
    options: EdgeTpuOptions
    edge_tpu: EdgeTpu


class Acceleration:
    """Keeps at most one Edge TPU at work, for the analyzer in use. ``check`` may be called in any thread."""

    def __init__(self, events: EventRecorder, changed: Callable[[], None]) -> None:
        """``changed`` is called when the Edge TPU begins or ceases to judge, in its own thread."""
        self._events = events
        self._changed = changed
        self._in_use: _InUse | None = None
        self._missing: EdgeTpuModelMissing | None = None
        self._started = False

    @property
    def name(self) -> str | None:
        """What runs the network now; None for the processor."""
        in_use = self._in_use
        return EDGE_TPU if in_use is not None and in_use.edge_tpu.active else None

    def start(self) -> None:
        """Begin to look for the Edge TPU, now and after each change."""
        self._started = True
        if self._in_use is not None:
            self._in_use.edge_tpu.start()

    def use(self, settings: AnalysisSettings, analyzer: Analyzer) -> None:
        """From now on the network of ``analyzer`` runs on the Edge TPU, if it can. Raises ``BundleError``."""
        options = edge_tpu_options(settings)
        self._missing = None
        if options is not None and not analyzer.has_compiled_model:
            if options.required:
                self._missing = EdgeTpuModelMissing(
                    f"An Edge TPU is required, but the bundle {analyzer.model.name} {analyzer.model.version} has no "
                    "model for one."
                )
            options = None
        if self._in_use is not None and self._in_use.options != options:
            self.close()
        if options is None:
            return
        if self._in_use is None:
            self._in_use = _InUse(options, EdgeTpu(options, self._record))
            if self._started:
                self._in_use.edge_tpu.start()
        analyzer.accelerate(self._in_use.edge_tpu)

    def check(self) -> Check | None:
        """Whether the Edge TPU does what it should; None if none is wanted, or could be used."""
        if self._missing is not None:
            return Check.from_error(CHECK, self._missing)
        in_use = self._in_use
        if in_use is None:
            return None
        problem = in_use.edge_tpu.problem
        if problem is not None or in_use.edge_tpu.active:
            return Check.from_error(CHECK, problem)
        return Check.unknown(
            CHECK, "The processor runs the network: no Edge TPU is plugged in, or it is just starting."
        )

    def close(self) -> None:
        """End the Edge TPU's process."""
        in_use, self._in_use = self._in_use, None
        if in_use is not None:
            in_use.edge_tpu.close()

    def _record(self, change: EdgeTpuLost | EdgeTpuReady) -> None:
        match change:
            case EdgeTpuLost(error, answers_count, unchecked_count):
                self._events.record(
                    EventKind.ACCELERATOR_LOST,
                    f"The processor runs the network, as the Edge TPU does not: {error.message}",
                    code=error.code,
                    answers_count=answers_count,
                    unchecked_count=unchecked_count,
                )
            case EdgeTpuReady(device, away_s, by_processor_count):
                again = "" if away_s is None else f" again after {away_s:.1f} s"
                self._events.record(
                    EventKind.ACCELERATOR_READY,
                    f"The Edge TPU {device} runs the network{again}.",
                    away_s=None if away_s is None else round(away_s, 3),
                    by_processor_count=by_processor_count,
                )
        self._changed()


def edge_tpu_options(settings: AnalysisSettings) -> EdgeTpuOptions | None:
    """As configured; None if no Edge TPU is wanted."""
    if settings.edgetpu == "off":
        return None
    return EdgeTpuOptions(
        library=settings.edgetpu_library,
        deadline_s=settings.edgetpu_deadline_ms / 1e3,
        required=settings.edgetpu == "required",
    )
