"""The candidate beside the model in use: started by a command or by the roll-out, told by events."""

from __future__ import annotations

from collections.abc import Callable

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import Reading
from edge_agent.contracts import EventKind, ModelIdentity, ShadowMetrics
from edge_agent.errors import CommandInvalid, ShadowFailed
from edge_agent.events.recorder import EventRecorder
from edge_agent.shadow.control import OnSummary, ShadowCallbacks, ShadowControl
from edge_agent.shadow.shadow import ShadowEnd, ShadowSummary

_ENDS = {
    ShadowEnd.STOPPED: "was stopped",
    ShadowEnd.ENOUGH: "has judged as many fields as were asked for",
    ShadowEnd.FAILED: "failed several times in a row and was ended",
    ShadowEnd.IN_USE: "is the model in use now",
}


class Shadowing:
    """None or one candidate, until the agent stops. Any thread may use it."""

    def __init__(
        self, load: Callable[[str, str | None], Analyzer], active: Callable[[], ModelIdentity], events: EventRecorder
    ) -> None:
        """``load`` reads an installed bundle, with a head or None; ``active`` is called each time it is needed."""
        self._load = load
        self._active = active
        self._events = events
        self._control = ShadowControl(ShadowCallbacks(self._record_start, self._record_end))

    @property
    def figures(self) -> ShadowMetrics | None:
        """Of the candidate that judges now; None if there is none."""
        return self._control.figures

    @property
    def last(self) -> ShadowSummary | None:
        """What the candidate before has shown."""
        return self._control.last

    def command(self, model: str | None, head: str | None) -> ModelIdentity | None:
        """Let an installed bundle, with a head if one is named, judge beside the model in use; None ends that.

        Raises ``ModelUnknown``, ``CommandInvalid`` for the model in use, or ``BundleError`` if it cannot be used: the
        candidate before stays.
        """
        if model is None:
            if head is not None:
                raise CommandInvalid("A head needs the name of its bundle.")
            self._control.dismiss()
            return None
        analyzer = self._load(model, head)
        if analyzer.model == self._active():
            raise CommandInvalid(
                f"'{model}' is the model in use.", remedy="Name another installed bundle, or another head."
            )
        self._control.start(analyzer)
        return analyzer.model

    def judge(self, analyzer: Analyzer, readings_count: int, on_summary: OnSummary) -> None:
        """Judge ``readings_count`` fields beside the model in use, then call ``on_summary``; see ``ShadowControl``.

        It is called once, whatever ends the comparison: the summary says what.
        """
        self._control.start(analyzer, enough_count=readings_count, on_summary=on_summary)

    def offer(self, reading: Reading) -> None:
        """A reading of the model in use. Never blocks and never raises."""
        self._control.offer(reading)

    def close(self) -> None:
        """End the candidate, and start none again."""
        self._control.close()

    def _record_start(self, model: ModelIdentity) -> None:
        message = f"{_name(model)} judges beside the model in use; nothing that it says is published."
        self._record(EventKind.SHADOW_STARTED, message, model)

    def _record_end(self, summary: ShadowSummary) -> None:
        figures = summary.figures
        message, code = f"{_name(figures.model)} {_ENDS[summary.end]}.", None
        if summary.end is ShadowEnd.FAILED:
            error = ShadowFailed(f"The last failure was: {summary.last_failure}")
            message, code = f"{message} {error.message}", error.code
        self._record(
            EventKind.SHADOW_ENDED,
            message,
            figures.model,
            code,
            end=summary.end.value,
            compared_count=figures.compared_count,
            agreeing_count=figures.agreeing_count,
            passed_over_count=figures.passed_over_count,
            failures_count=figures.failures_count,
        )

    def _record(
        self, kind: EventKind, message: str, model: ModelIdentity, code: str | None = None, **details: str | int
    ) -> None:
        head = model.head
        self._events.record(
            kind,
            message,
            code=code,
            state_entries=None,
            model=model.name,
            model_version=model.version,
            model_sha256=model.sha256,
            head=None if head is None else head.name,
            head_sha256=None if head is None else head.sha256,
            **details,
        )


def _name(model: ModelIdentity) -> str:
    if model.head is None:
        return f"The bundle {model.name} {model.version}"
    return f"The head {model.head.name} {model.head.version} on {model.name} {model.version}"
