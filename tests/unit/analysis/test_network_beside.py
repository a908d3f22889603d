"""With several threads, the network runs beside segmentation and quality."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.analysis import analyzer as stages
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import Reading
from edge_agent.cameras.frame import ColourOrder, Encoded, Frame, Pixels, frame_now
from edge_agent.contracts import Outcome, Reason
from edge_agent.errors import InferenceError
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.classifier import Classification
from edge_agent.vision.cells import Cells, find_cells
from edge_agent.vision.settings import QualityLimits

Array = NDArray[np.uint8]

PATIENCE_S = 60


class Recorded(Classifier):
    """Remembers in which thread it ran, and reports when it has begun."""

    def __init__(self) -> None:
        super().__init__(load_bundle("demo"), threads=2)
        self.ran_in: list[str] = []
        self.begun = threading.Event()

    def classify(self, image: Array) -> Classification:
        self.ran_in.append(threading.current_thread().name)
        self.begun.set()
        return super().classify(image)


@pytest.fixture
def classifier() -> Recorded:
    return Recorded()


@pytest.fixture
def beside(classifier: Recorded) -> Analyzer:
    return Analyzer(classifier, QualityLimits())


def rgb(array: Array) -> Frame:
    return frame_now("camera0", Pixels(np.ascontiguousarray(array), ColourOrder.RGB))


def said(reading: Reading) -> dict[str, object]:
    """Everything that does not depend on time, or on how a model runs."""
    left_out = {"frame", "latency_ms", "explanation", "appearance"}
    return {name: getattr(reading, name) for name in Reading.__slots__ if name not in left_out}


def test_readings_are_those_of_one_thread(beside: Analyzer, smear: Array) -> None:
    alone = Analyzer(Classifier(load_bundle("demo")), QualityLimits())
    blurred = np.full_like(smear, 225)
    for frame in (rgb(smear), rgb(blurred), rgb(smear[:90]), rgb(np.zeros_like(smear)), rgb(smear[::-1])):
        assert said(beside.analyse(frame)) == said(alone.analyse(frame))
    broken = frame_now("camera0", Encoded(b"broken"))
    assert said(beside.analyse(broken)) == said(alone.analyse(broken))


def test_the_network_runs_while_cells_are_looked_for(
    beside: Analyzer, classifier: Recorded, smear: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    def patient(*args: object, **options: object) -> Cells:
        assert classifier.begun.wait(PATIENCE_S), "the network has not begun"
        return find_cells(*args, **options)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(stages, "find_cells", patient)
    reading = beside.analyse(rgb(smear))
    assert reading.outcome is Outcome.CLASSIFIED
    latency = reading.latency_ms
    assert {"inference", "inference-wait"} <= set(latency)
    counted = sum(ms for stage, ms in latency.items() if stage not in {"waiting", "total", "inference"})
    assert latency["total"] == pytest.approx(counted, abs=0.05)


def test_a_field_that_is_seen_to_be_unfit_at_once_costs_no_network(
    beside: Analyzer, classifier: Recorded, smear: Array
) -> None:
    assert beside.analyse(rgb(smear // 8)).reason is Reason.UNDER_EXPOSED
    before = beside.extract(rgb(smear[::-1]))
    moving = beside.read(beside.extract(rgb(smear)), previous=before)
    assert moving.reason is Reason.MOVING
    assert not classifier.ran_in


def test_only_one_thread_uses_the_network(beside: Analyzer, classifier: Recorded, smear: Array) -> None:
    empty = np.full_like(smear, 225)
    for field in (smear, empty, smear[::-1], empty, smear[:, ::-1]):
        beside.analyse(rgb(field))
    assert set(classifier.ran_in) == {"network_0"}


def test_a_field_whose_network_was_not_started_is_judged_all_the_same(
    beside: Analyzer, classifier: Recorded, smear: Array
) -> None:
    pending = beside.prepare(beside.extract(rgb(smear)), judge=False)
    assert not isinstance(pending, Reading)
    assert not classifier.ran_in
    assert beside.complete(replace(pending)).outcome is Outcome.CLASSIFIED


def test_what_fails_beside_is_the_error_of_its_own_reading(
    beside: Analyzer, classifier: Recorded, smear: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(image: Array) -> Classification:
        raise InferenceError("The model failed on a frame.")

    with monkeypatch.context() as broken:
        broken.setattr(classifier, "classify", fail)
        reading = beside.analyse(rgb(smear))
    assert reading.outcome is Outcome.FAILED
    assert reading.error is not None
    assert reading.error.code == InferenceError("").code
    assert beside.analyse(rgb(smear)).outcome is Outcome.CLASSIFIED
