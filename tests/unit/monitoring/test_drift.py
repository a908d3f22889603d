"""A window of fields against the fields on which the model was proven."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

import numpy as np
import pytest

from edge_agent.analysis.reading import Explanation, Reading
from edge_agent.cameras.frame import Frame, frame_now
from edge_agent.contracts import Check, CheckState, Decision, Measure, ModelIdentity, Outcome
from edge_agent.contracts.manifest import MeasureRange, Reference, TrainingAppearance
from edge_agent.errors import ImageError
from edge_agent.monitoring.drift import MAX_AGE_S, WINDOW_COUNT, DriftMonitor, shift_ratio
from edge_agent.vision.appearance import Appearance

MODEL = ModelIdentity(name="accurate", version="1.2.0", sha256="a" * 64, preprocessing="rgb@1", runtime="none")
OTHER = MODEL.model_copy(update={"version": "1.3.0"})


def limits(low: float, median: float, high: float) -> MeasureRange:
    return MeasureRange(low=low, median=median, high=high, images_count=100)


KNOWN = TrainingAppearance(
    images_count=100,
    measures={
        Measure.BACKGROUND_YELLOWNESS: limits(-2, 1, 9),
        Measure.NUCLEI_LIGHTNESS: limits(47, 63, 82),
        Measure.SHARPNESS: limits(0.8, 1.0, 1.7),
        Measure.NOISE: limits(0.05, 0.1, 0.2),
        Measure.RED_CELL_DIAMETER: limits(15, 19, 23),
    },
)
REFERENCE = Reference(
    images_count=100, unfamiliarity_score=limits(9, 11, 16), confidence_ratio=limits(0.95, 0.9987, 0.9995)
)
USUAL = {
    "background_yellowness_delta_e": 1.0,
    "nuclei_lightness_delta_e": 63.0,
    "sharpness_ratio": 1.0,
    "noise_ratio": 0.1,
    "red_cell_diameter_px": 19.0,
}


class Slide:
    """Fields of which no two look alike."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(1)

    def reading(
        self,
        *,
        model: ModelIdentity = MODEL,
        score: float = 11.0,
        confidence: float | None = 0.9987,
        age_s: float = 0.0,
        **measures: float | None,
    ) -> Reading:
        found = frame_now("camera0", ImageError("no picture is needed here."))
        frame = Frame(found.camera, found.captured_at, found.monotonic_ns - round(age_s * 1e9), found.image)
        blocks = self._rng.integers(0, 256, (24, 24, 3), np.uint8)
        field = np.kron(blocks, np.ones((8, 8, 1), np.uint8))
        values = {**USUAL, **measures}
        return Reading(
            frame=frame,
            outcome=Outcome.CLASSIFIED,
            model=model,
            demonstration=False,
            provisional=False,
            latency_ms={},
            decision=Decision(
                rule="test",
                max_unfamiliarity_score=17.0,
                unfamiliarity_score=score,
                min_confidence_ratio=0.87,
                confidence_ratio=confidence,
            ),
            appearance=Appearance(**{each.name: values.get(each.name) for each in fields(Appearance)}),
            explanation=Explanation(field, np.zeros((192, 192), np.uint8), None),
        )

    def readings(self, count: int = WINDOW_COUNT, **what: float | None) -> list[Reading]:
        return [self.reading(**what) for _ in range(count)]  # type: ignore[arg-type]  # figures only


@pytest.fixture
def slide() -> Slide:
    return Slide()


@pytest.fixture
def drift() -> DriftMonitor:
    found = DriftMonitor()
    found.use(MODEL, KNOWN, REFERENCE)
    return found


def checked(drift: DriftMonitor, readings: Iterable[Reading]) -> Check:
    for reading in readings:
        drift.add(reading)
    return drift.check()


def test_it_is_unknown_until_there_are_enough_fields(drift: DriftMonitor, slide: Slide) -> None:
    assert checked(drift, slide.readings(WINDOW_COUNT - 1)).state is CheckState.UNKNOWN
    assert checked(drift, slide.readings(1)).state is CheckState.OK


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"background_yellowness_delta_e": 9.5}, "The background is yellower"),
        ({"nuclei_lightness_delta_e": 83.0}, "Nuclei are paler"),
        ({"sharpness_ratio": 0.7}, "Cells are only 0.7 times as sharp"),
        ({"red_cell_diameter_px": 22.5}, "Red cells are 1.2 times as wide"),
        ({"noise_ratio": 0.04}, "The picture is smoother"),
    ],
)
def test_what_changed_is_named_with_what_to_check(
    drift: DriftMonitor, slide: Slide, change: dict[str, float], words: str
) -> None:
    """Nothing of it is refused: every single field may look like this."""
    check = checked(drift, slide.readings(WINDOW_COUNT, **change))
    assert (check.state, check.code) == (CheckState.DEGRADED, "model_drift")
    assert check.message is not None
    assert words in check.message
    assert check.remedy is not None


def test_what_a_single_slide_may_show_is_no_drift(drift: DriftMonitor, slide: Slide) -> None:
    assert checked(drift, slide.readings(nuclei_lightness_delta_e=81.0, score=13.0)).state is CheckState.OK


def test_the_lamp_explains_the_colours_of_cells_too(drift: DriftMonitor, slide: Slide) -> None:
    message = checked(drift, slide.readings(background_yellowness_delta_e=9.5, nuclei_lightness_delta_e=120.0)).message
    assert message is not None
    assert "The background is yellower" in message
    assert "Nuclei" not in message


def test_fields_that_grow_less_familiar_are_a_drift_with_its_likeliest_cause(drift: DriftMonitor, slide: Slide) -> None:
    message = checked(drift, slide.readings(score=14.0, sharpness_ratio=0.88)).message
    assert message is not None
    assert "less familiar than usual (score 14 in place of 11)" in message
    assert "0.88 times as sharp" in message


def test_without_a_cause_that_is_said_too(drift: DriftMonitor, slide: Slide) -> None:
    message = checked(drift, slide.readings(score=14.0)).message
    assert message is not None
    assert "None of the simple measures explains it." in message


def test_a_model_that_grows_unsure_is_a_drift(drift: DriftMonitor, slide: Slide) -> None:
    message = checked(drift, slide.readings(confidence=0.97)).message
    assert message is not None
    assert "less sure than usual (97.0% in place of 99.9%)" in message


def test_it_ends_by_itself_with_fields_as_before(drift: DriftMonitor, slide: Slide) -> None:
    assert checked(drift, slide.readings(score=14.0)).code == "model_drift"
    assert checked(drift, slide.readings()).state is CheckState.OK


def test_on_the_edge_it_does_not_come_and_go(drift: DriftMonitor, slide: Slide) -> None:
    assert checked(drift, slide.readings(sharpness_ratio=0.79)).code == "model_drift"
    assert checked(drift, slide.readings(sharpness_ratio=0.81)).code == "model_drift"
    assert checked(drift, slide.readings(sharpness_ratio=0.83)).state is CheckState.OK
    assert checked(drift, slide.readings(sharpness_ratio=0.81)).state is CheckState.OK


def test_a_field_that_rests_counts_once(drift: DriftMonitor, slide: Slide) -> None:
    still = slide.reading()
    assert checked(drift, [still] * (2 * WINDOW_COUNT)).state is CheckState.UNKNOWN


def test_another_model_begins_a_window_of_its_own(drift: DriftMonitor, slide: Slide) -> None:
    assert checked(drift, slide.readings(score=14.0)).code == "model_drift"
    drift.use(OTHER, KNOWN, REFERENCE)
    # In progress when the model was chosen, so it says nothing about the new model.
    assert checked(drift, slide.readings(score=14.0)).state is CheckState.UNKNOWN
    assert checked(drift, [slide.reading(model=OTHER) for _ in range(WINDOW_COUNT)]).state is CheckState.OK


def test_what_is_older_than_a_day_does_not_count(drift: DriftMonitor, slide: Slide) -> None:
    old = slide.readings(WINDOW_COUNT - 1, score=14.0, age_s=MAX_AGE_S + 60)
    assert checked(drift, [*old, slide.reading()]).state is CheckState.UNKNOWN


def test_a_model_without_ranges_is_unknown_and_one_without_a_reference_is_compared_by_its_looks(slide: Slide) -> None:
    drift = DriftMonitor()
    drift.use(MODEL, None, None)
    assert checked(drift, slide.readings()).state is CheckState.UNKNOWN
    drift = DriftMonitor()
    drift.use(MODEL, KNOWN, None)
    assert checked(drift, slide.readings(score=16.0)).state is CheckState.OK
    assert checked(drift, slide.readings(sharpness_ratio=0.7)).code == "model_drift"


def test_few_images_cannot_tell_drift_from_another_slide(slide: Slide) -> None:
    few = {"images_count": 40}
    drift = DriftMonitor()
    drift.use(MODEL, KNOWN.model_copy(update=few), REFERENCE.model_copy(update=few))
    assert checked(drift, slide.readings(score=16.0, sharpness_ratio=0.7)).state is CheckState.UNKNOWN


def test_a_measure_that_most_fields_lack_decides_nothing(drift: DriftMonitor, slide: Slide) -> None:
    few, most = WINDOW_COUNT // 4, WINDOW_COUNT - WINDOW_COUNT // 4
    readings = [*slide.readings(most, red_cell_diameter_px=None), *slide.readings(few, red_cell_diameter_px=40.0)]
    assert checked(drift, readings).state is CheckState.OK


@pytest.mark.parametrize(("value", "ratio"), [(19, 0), (23, 1), (15, -1), (21, 0.5), (27, 2)])
def test_a_shift_is_counted_in_halves_of_the_range(value: float, ratio: float) -> None:
    assert shift_ratio(value, limits(15, 19, 23)) == ratio
    assert shift_ratio(1.5, limits(1, 1, 2)) == 0.5
    assert shift_ratio(0.5, limits(1, 1, 2)) == float("-inf")
