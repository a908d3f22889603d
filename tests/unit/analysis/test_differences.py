"""How an unfamiliar field reports its differences: with the demonstration bundle and drawn smears."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from uuid_utils.compat import uuid7

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.differences import find_differences
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import ColourOrder, Frame, Pixels, frame_now
from edge_agent.cameras.smear import DEFAULT_UM_PER_PIXEL, draw_smear
from edge_agent.contracts import Aspect, Direction, Measure, Outcome, Reason, Result
from edge_agent.contracts.manifest import MeasureRange
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.appearance import Appearance
from edge_agent.vision.settings import QualityLimits

Array = NDArray[np.uint8]


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer(Classifier(load_bundle("demo")), QualityLimits())


def frame(array: Array) -> Frame:
    return frame_now("camera0", Pixels(np.ascontiguousarray(array), ColourOrder.RGB))


def appearance(**values: float) -> Appearance:
    return Appearance(**{each.name: values.get(each.name) for each in fields(Appearance)})


def limits(low: float, median: float, high: float) -> MeasureRange:
    return MeasureRange(low=low, median=median, high=high, images_count=100)


def magnified(_field: Array) -> Array:
    """The same smear at twice the magnification."""
    drawn, _ = draw_smear(np.random.default_rng(7), "pre-b", um_per_pixel=DEFAULT_UM_PER_PIXEL / 2)
    return drawn


def tinted(field: Array) -> Array:
    """Bluer, as by a wrong white balance, but not enough for the field to be rejected."""
    changed: Array = np.clip(field * np.array([0.7, 0.9, 1.05]), 0, 255).astype(np.uint8)
    return changed


def noisy(field: Array) -> Array:
    added = np.random.default_rng(3).normal(0, 20, field.shape)
    return np.clip(field + added, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("change", "aspect"), [(magnified, Aspect.SCALE), (tinted, Aspect.COLOUR), (noisy, Aspect.TEXTURE)]
)
def test_what_was_changed_comes_first(
    analyzer: Analyzer, smear: Array, change: Callable[[Array], Array], aspect: Aspect
) -> None:
    reading = analyzer.analyse(frame(change(smear)))
    assert reading.reason is Reason.UNFAMILIAR
    assert reading.differs
    assert reading.differs[0].aspect is aspect
    message = Result.model_validate_json(ResultMaker("clinic-a", "scope-1", uuid7()).make(reading).to_json())
    assert message.differs == reading.differs
    assert "appearance" in reading.latency_ms


def test_nothing_is_measured_of_a_familiar_field(
    analyzer: Analyzer, smear: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(*_: object) -> None:
        raise AssertionError("a familiar field was measured")

    monkeypatch.setattr("edge_agent.analysis.analyzer.field_appearance", measure)
    reading = analyzer.analyse(frame(smear))
    assert (reading.outcome, reading.differs) == (Outcome.CLASSIFIED, None)


def test_familiar_fields_are_measured_no_more_often_than_they_are_wanted(smear: Array) -> None:
    classifier = Classifier(load_bundle("demo"))
    rarely = Analyzer(classifier, QualityLimits(), appearance_interval_s=3600)
    first, second, unlike = (rarely.analyse(frame(each)) for each in (smear, smear, tinted(smear)))
    assert first.appearance == rarely.measure_appearance(frame(smear))
    assert "appearance" in first.latency_ms
    assert second.appearance is None
    # Measured to find its differences, but not chosen for the window: refused fields alone would always have drifted.
    assert (unlike.differs is not None, unlike.appearance) == (True, None)
    always = Analyzer(classifier, QualityLimits(), appearance_interval_s=0)
    assert all(always.analyse(frame(smear)).appearance is not None for _ in range(2))


def test_nothing_is_said_with_a_bundle_that_does_not_know_its_training_images(demo_bundle: Path, smear: Array) -> None:
    path = demo_bundle / "manifest.json"
    content = json.loads(path.read_text())
    del content["appearance"]
    path.write_text(json.dumps(content))
    reading = Analyzer(Classifier(load_bundle(demo_bundle)), QualityLimits()).analyse(frame(tinted(smear)))
    assert (reading.reason, reading.differs) == (Reason.UNFAMILIAR, None)


def test_sizes_are_in_pixels_of_the_models_input_whatever_the_cameras(analyzer: Analyzer) -> None:
    scale = DEFAULT_UM_PER_PIXEL * 224 / 640
    large, _ = draw_smear(np.random.default_rng(7), "pre-b", size_px=(640, 640), um_per_pixel=scale)
    small = np.asarray(cv2.resize(large, (224, 224), interpolation=cv2.INTER_AREA), np.uint8)
    seen = [analyzer.measure_appearance(frame(each)) for each in (large, small)]
    assert seen[0] is not None
    assert seen[1] is not None
    assert seen[0].nucleus_diameter_px == pytest.approx(seen[1].nucleus_diameter_px, rel=0.1)
    assert seen[0].red_cell_diameter_px == pytest.approx(seen[1].red_cell_diameter_px, rel=0.1)


def test_a_frame_that_is_rejected_has_no_appearance(analyzer: Analyzer) -> None:
    assert analyzer.measure_appearance(frame(np.zeros((224, 224, 3), np.uint8))) is None


def test_the_farthest_of_each_aspect_is_said_the_farthest_aspect_first() -> None:
    ranges = {
        Measure.BACKGROUND_REDNESS: limits(-1, 0, 1),
        Measure.NUCLEI_LIGHTNESS: limits(40, 50, 60),
        Measure.SHARPNESS: limits(0.5, 1, 1.5),
        Measure.NUCLEUS_DIAMETER: limits(20, 25, 30),
    }
    found = find_differences(
        appearance(
            background_redness_delta_e=2,
            nuclei_lightness_delta_e=65,
            sharpness_ratio=1.2,
            nucleus_diameter_px=10,
            red_cell_diameter_px=99,
        ),
        ranges,
    )
    assert [(each.measure, each.direction, each.beyond_ratio) for each in found] == [
        (Measure.NUCLEUS_DIAMETER, Direction.BELOW, 2),
        (Measure.BACKGROUND_REDNESS, Direction.ABOVE, 1),
    ]


@pytest.mark.parametrize("value", [20, 25, 30, 30.000001])
def test_what_is_inside_the_range_or_on_its_edge_does_not_differ(value: float) -> None:
    ranges = {Measure.NUCLEUS_DIAMETER: limits(20, 25, 30)}
    assert find_differences(appearance(nucleus_diameter_px=value), ranges) == ()


def test_less_noise_than_usual_is_no_difference() -> None:
    ranges = {Measure.NOISE: limits(0.1, 0.2, 0.3)}
    assert find_differences(appearance(noise_ratio=0.01), ranges) == ()
    assert len(find_differences(appearance(noise_ratio=0.5), ranges)) == 1
