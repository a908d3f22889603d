"""Readings, and candidates whose judgement the test defines."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import Reading
from edge_agent.cameras.frame import Frame, frame_now
from edge_agent.contracts import ErrorReport, Label, ModelIdentity, Outcome
from edge_agent.errors import ImageError, InferenceError

ACTIVE = ModelIdentity(name="accurate", version="1.2.0", sha256="a" * 64, preprocessing="rgb@1", runtime="none")
OTHER_ACTIVE = ACTIVE.model_copy(update={"version": "1.3.0"})
CANDIDATE = ACTIVE.model_copy(update={"name": "fast"})
LABELS = tuple(Label(code=code, display_name=code, meaning=code, malignant=False) for code in ("benign", "pre-b"))

Judgement = Callable[[Frame], Reading]


def reading(
    outcome: Outcome = Outcome.CLASSIFIED, *, frame: Frame | None = None, model: ModelIdentity = ACTIVE, **values: Any
) -> Reading:
    if outcome is Outcome.CLASSIFIED:
        values = {"label": "benign", **values}
    if outcome is Outcome.FAILED:
        values = {"error": ErrorReport.from_error(InferenceError("it broke.")), **values}
    return Reading(
        frame=frame or frame_now("camera0", ImageError("no picture is needed here.")),
        outcome=outcome,
        model=model,
        demonstration=False,
        provisional=False,
        latency_ms={"total": 1.0},
        **{"labels": LABELS, **values},
    )


class ScriptedAnalyzer(Analyzer):
    """Judges by a function, and records the frames that it was given."""

    def __init__(self, judge: Judgement, model: ModelIdentity = CANDIDATE) -> None:
        self._judge_frame = judge
        self._model = model
        self.unproven_reasons = ()
        self.given: queue.SimpleQueue[Frame] = queue.SimpleQueue()

    def analyse(self, frame: Frame) -> Reading:
        self.given.put(frame)
        return self._judge_frame(frame)


def agreeing(frame: Frame) -> Reading:
    return reading(frame=frame, model=CANDIDATE)
