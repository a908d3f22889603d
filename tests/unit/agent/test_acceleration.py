from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.agent.acceleration import Acceleration
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.settings import AnalysisSettings
from edge_agent.contracts import CheckState, EventKind
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.edgetpu import devices
from edge_agent.vision.settings import QualityLimits
from tests.edge_tpu.stand_in import FakeUsb
from tests.mqtt import PATIENCE_S


class Recorder:
    """Keeps the records that the agent's event recorder would write."""

    def __init__(self) -> None:
        self.kinds: list[EventKind] = []
        self.codes: list[str | None] = []

    def record(self, kind: EventKind, _message: str, *, code: str | None = None, **_details: object) -> None:
        self.kinds.append(kind)
        self.codes.append(code)


def analyzer_of(bundle: str | Path) -> Analyzer:
    return Analyzer(Classifier(load_bundle(bundle)), QualityLimits())


@pytest.fixture(scope="module")
def plain() -> Analyzer:
    return analyzer_of("demo")


@pytest.fixture
def compiled(bundle_for_coral: Path) -> Analyzer:
    return analyzer_of(bundle_for_coral)


@pytest.fixture
def usb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeUsb:
    found = FakeUsb(tmp_path / "sys")
    monkeypatch.setattr(devices, "SYSFS", found.root)
    return found


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def changed() -> threading.Event:
    return threading.Event()


@pytest.fixture
def acceleration(recorder: Recorder, changed: threading.Event) -> Iterator[Acceleration]:
    found = Acceleration(recorder, changed.set)  # type: ignore[arg-type]
    found.start()
    yield found
    found.close()


def test_a_bundle_without_a_compiled_model_needs_no_edge_tpu(acceleration: Acceleration, plain: Analyzer) -> None:
    acceleration.use(AnalysisSettings(), plain)
    assert acceleration.check() is None
    assert acceleration.name is None


def test_one_that_is_required_is_missed_in_a_bundle_without_a_model(
    acceleration: Acceleration, plain: Analyzer
) -> None:
    acceleration.use(AnalysisSettings(edgetpu="required"), plain)
    check = acceleration.check()
    assert check is not None
    assert (check.state, check.code) == (CheckState.DEGRADED, "edge_tpu_model_missing")
    assert check.remedy


def test_where_none_is_plugged_in_that_is_no_fault(
    acceleration: Acceleration, usb: FakeUsb, compiled: Analyzer, recorder: Recorder
) -> None:
    acceleration.use(AnalysisSettings(), compiled)
    check = acceleration.check()
    assert check is not None
    assert (check.name, check.state) == ("accelerator", CheckState.UNKNOWN)
    assert recorder.kinds == []


def test_one_that_is_switched_off_is_not_even_looked_for(acceleration: Acceleration, compiled: Analyzer) -> None:
    acceleration.use(AnalysisSettings(edgetpu="off"), compiled)
    assert acceleration.check() is None


def test_its_beginning_and_its_end_are_events(
    acceleration: Acceleration,
    usb: FakeUsb,
    compiled: Analyzer,
    plain: Analyzer,
    library: Path,
    recorder: Recorder,
    changed: threading.Event,
) -> None:
    usb.plug_in()
    acceleration.use(AnalysisSettings(edgetpu_library=str(library)), compiled)
    assert changed.wait(PATIENCE_S)
    assert recorder.kinds == [EventKind.ACCELERATOR_READY]
    check = acceleration.check()
    assert check is not None
    assert check.state is CheckState.OK
    assert acceleration.name == "edge_tpu"
    # Now another bundle is in use, which has no model for the Edge TPU.
    acceleration.use(AnalysisSettings(edgetpu_library=str(library)), plain)
    assert acceleration.name is None


def test_a_library_that_is_not_there_is_degraded_with_a_remedy(
    acceleration: Acceleration, usb: FakeUsb, compiled: Analyzer, recorder: Recorder, changed: threading.Event
) -> None:
    usb.plug_in()
    acceleration.use(AnalysisSettings(edgetpu_library="/nowhere/libedgetpu.so.1"), compiled)
    assert changed.wait(PATIENCE_S)
    assert (recorder.kinds, recorder.codes) == ([EventKind.ACCELERATOR_LOST], ["edge_tpu_library_missing"])
    check = acceleration.check()
    assert check is not None
    assert check.state is CheckState.DEGRADED
    assert check.remedy is not None
    assert "libedgetpu1-std" in check.remedy
