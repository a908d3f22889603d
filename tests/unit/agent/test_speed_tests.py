from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.agent import speed_tests
from edge_agent.agent.factory import make_analyzer
from edge_agent.agent.speed_tests import SpeedTests
from edge_agent.analysis import Reading
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.speed_choice import READINGS, Candidate, Timing
from edge_agent.cameras import Frame
from edge_agent.config import Config
from edge_agent.contracts import Outcome
from edge_agent.errors import ConfigError, HeadMismatch
from edge_agent.inference import load_bundle
from edge_agent.inference.auto_bundles import AUTO_BUNDLES
from tests.agents import configuration
from tests.heads import write_head

P95_MS = {("accurate", 1): 30.0, ("accurate", 2): 20.0, ("fast", 1): 16.0, ("fast", 2): 9.0, ("demo", 1): 16.0}


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[Candidate]:
    """Replace timing: readings take the times in ``P95_MS``. Returns the requested candidates in order."""
    asked: list[Candidate] = []

    def time_readings(candidate: Candidate, read: Callable[[], float], target_ms: float) -> Timing:
        assert target_ms > 0
        assert read() > 0
        asked.append(candidate)
        p95_ms = P95_MS.get((candidate.bundle, candidate.threads_count), 9.0)
        return Timing(candidate, p95_ms * 0.9, p95_ms, READINGS)

    monkeypatch.setattr(speed_tests, "time_readings", time_readings)
    return asked


def config(**analysis: object) -> Config:
    return configuration(1, analysis=analysis)


@pytest.mark.parametrize(
    ("analysis", "bundle", "threads_count"),
    [
        pytest.param({"bundle": "auto"}, "fast", 2, id="15 ms"),
        pytest.param({"bundle": "auto", "target_ms": 25}, "accurate", 2, id="25 ms"),
        pytest.param({"bundle": "auto", "target_ms": 100}, "accurate", 1, id="100 ms"),
        pytest.param({"bundle": "auto", "target_ms": 1}, "fast", 2, id="1 ms: the fastest"),
        pytest.param({"bundle": "auto", "threads_count": 1}, "fast", 1, id="one core"),
        pytest.param({"bundle": "demo", "threads_count": "auto"}, "demo", 2, id="threads alone"),
    ],
)
def test_the_most_accurate_bundle_that_holds_the_target_with_the_fewest_cores(
    timed: list[Candidate], analysis: dict[str, object], bundle: str, threads_count: int
) -> None:
    tests = SpeedTests(cores_count=2)
    configured = config(**analysis)
    settled = tests.settle(configured)
    assert (settled.analysis.bundle, settled.analysis.threads_count) == (bundle, threads_count)
    choice = tests.choice(configured)
    assert choice is not None
    assert [each.candidate for each in choice.timings] == timed
    assert settled.quality == configured.quality


def test_what_is_named_is_left_alone(timed: list[Candidate]) -> None:
    configured = config(bundle="demo")
    assert configured.analysis.threads_count == 1
    tests = SpeedTests(cores_count=2)
    assert tests.settle(configured) == configured
    assert tests.choice(configured) is None
    assert timed == []


@pytest.mark.parametrize(
    ("analysis", "camera"),
    [
        pytest.param({"max_image_megapixels": 1}, {}, id="frames that are smaller than the drawn one"),
        pytest.param({}, {"um_per_pixel": 0.05}, id="frames that are larger than the drawn one"),
    ],
)
def test_what_is_timed_is_a_field_that_is_judged(
    timed: list[Candidate], monkeypatch: pytest.MonkeyPatch, analysis: dict[str, object], camera: dict[str, object]
) -> None:
    outcomes: list[Outcome] = []

    def analyse(analyzer: Analyzer, frame: Frame) -> Reading:
        reading = analyzer.read(analyzer.extract(frame))
        outcomes.append(reading.outcome)
        return reading

    monkeypatch.setattr(Analyzer, "analyse", analyse)
    folder = {"kind": "folder", "path": "smears", **camera}
    configured = configuration(1, analysis={"bundle": "demo", "threads_count": "auto", **analysis}, camera=folder)
    settled = SpeedTests(cores_count=1).settle(configured)
    assert timed
    assert set(outcomes) <= {Outcome.CLASSIFIED, Outcome.ABSTAINED}
    assert settled.camera == configured.camera
    assert settled.analysis.max_image_megapixels == configured.analysis.max_image_megapixels


def test_the_same_setting_is_tested_once(timed: list[Candidate]) -> None:
    tests = SpeedTests(cores_count=2)
    tests.settle(config(bundle="auto"))
    count = len(timed)
    assert tests.settle(config(bundle="auto")).analysis.bundle == "fast"
    beside = tests.settle_as(config(bundle="demo", threads_count="auto"), config(bundle="auto"))
    assert (beside.analysis.bundle, beside.analysis.threads_count) == ("demo", 2)
    assert len(timed) == count
    tests.settle(config(bundle="auto", target_ms=100))
    assert len(timed) > count


def test_another_scale_is_another_setting(timed: list[Candidate]) -> None:
    tests = SpeedTests(cores_count=1)
    # Where a pixel is smaller, the window that is judged is larger.
    for um_per_pixel in (0.5, 0.25, 0.5):
        camera = {"kind": "v4l2", "um_per_pixel": um_per_pixel}
        tests.settle(configuration(1, analysis={"bundle": "demo", "threads_count": "auto"}, camera=camera))
    assert len(timed) == 2


def test_auto_beside_a_bundle_that_is_named_is_not_that_bundle(timed: list[Candidate]) -> None:
    tests = SpeedTests(cores_count=2)
    configured = config(bundle="auto")
    tests.settle(configured)
    count = len(timed)
    # As after another one was activated: the number of threads is still chosen.
    beside = tests.settle_as(configured, config(bundle="demo", threads_count="auto"))
    assert (beside.analysis.bundle, beside.analysis.threads_count) == ("fast", 2)
    assert len(timed) == count


def test_a_head_leaves_only_the_bundle_that_it_was_fitted_on(timed: list[Candidate], tmp_path: Path) -> None:
    head = write_head(tmp_path / "head", bundle="accurate")
    settled = SpeedTests(cores_count=2).settle(config(bundle="auto", head=str(head), target_ms=25))
    assert (settled.analysis.bundle, settled.analysis.threads_count) == ("accurate", 2)
    assert {each.bundle for each in timed} == {"accurate"}


def test_a_head_of_another_bundle_is_refused_before_anything_is_timed(timed: list[Candidate], tmp_path: Path) -> None:
    head = write_head(tmp_path / "head", bundle="demo")
    with pytest.raises(HeadMismatch, match="on none of the bundles that 'auto' chooses from"):
        SpeedTests(cores_count=2).settle(config(bundle="auto", head=str(head)))
    assert timed == []


def test_auto_itself_cannot_be_loaded() -> None:
    with pytest.raises(ConfigError, match="threads_count"):
        make_analyzer(config(bundle="demo", threads_count="auto"))


def test_all_bundles_to_choose_from_have_the_same_labels() -> None:
    first, *others = (load_bundle(name).manifest for name in AUTO_BUNDLES)
    assert all((each.labels, each.kind) == (first.labels, first.kind) for each in others)
