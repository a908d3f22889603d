from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from edge_agent.contracts import (
    Aspect,
    ColourDifference,
    Difference,
    Direction,
    Measure,
    ScaleDifference,
    TextureDifference,
    difference_sentence,
)
from edge_agent.contracts.manifest import MeasureRange, TrainingAppearance

DOCS = Path(__file__).parents[3] / "docs"
UNITS = {Aspect.COLOUR: "_delta_e", Aspect.TEXTURE: "_ratio", Aspect.SCALE: "_px"}
WORDS = [
    (measure, direction, words)
    for measure in Measure
    for direction in Direction
    if (words := measure.words(direction)) is not None
]


def scale(**changes: Any) -> ScaleDifference:
    values = {
        "measure": Measure.NUCLEUS_DIAMETER,
        "direction": Direction.ABOVE,
        "beyond_ratio": 0.5,
        "value_px": 40.0,
        "low_px": 20.0,
        "median_px": 25.0,
        "high_px": 30.0,
    }
    return ScaleDifference(**{**values, **changes})


@pytest.mark.parametrize("measure", Measure)
def test_a_measure_is_still_its_code_and_the_code_ends_in_its_unit(measure: Measure) -> None:
    assert Measure(measure.value) is measure
    assert measure.value.endswith(UNITS[measure.aspect])


@pytest.mark.parametrize(("measure", "direction", "words"), WORDS)
def test_every_measure_has_words_for_a_technician(measure: Measure, direction: Direction, words: str) -> None:
    said = words.format(times="1.6")
    assert re.fullmatch(r"[A-Z][A-Za-z0-9 ,.']+ in the training images\. [A-Z][A-Za-z ,']+\.", said)
    assert ("{times}" in words) is (measure.aspect is not Aspect.COLOUR)


def test_no_two_directions_say_the_same() -> None:
    assert len({words for *_, words in WORDS}) == len(WORDS)


def test_only_less_noise_is_nothing_to_complain_of() -> None:
    assert [measure for measure in Measure if measure.below is None] == [Measure.NOISE]


def test_a_sentence_says_how_many_times() -> None:
    assert (
        difference_sentence(scale())
        == "Nuclei are 1.6 times as wide as in the training images. Check the magnification."
    )
    small = scale(direction=Direction.BELOW, value_px=12.5)
    assert difference_sentence(small).startswith("Nuclei are only 0.5 times as wide as")
    tinted = ColourDifference(
        measure=Measure.BACKGROUND_YELLOWNESS,
        direction=Direction.BELOW,
        beyond_ratio=1,
        value_delta_e=-20,
        low_delta_e=-2,
        median_delta_e=1,
        high_delta_e=9,
    )
    assert difference_sentence(tinted).startswith("The background is bluer than in the training images. ")
    blurred = TextureDifference(
        measure=Measure.SHARPNESS,
        direction=Direction.BELOW,
        beyond_ratio=1,
        value_ratio=0.4,
        low_ratio=0.8,
        median_ratio=1,
        high_ratio=1.6,
    )
    assert difference_sentence(blurred).startswith("Cells are only 0.4 times as sharp as")


def test_a_difference_is_read_back_as_what_it_was() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Difference)
    assert adapter.validate_json(scale().model_dump_json()) == scale()


def test_a_measure_of_another_aspect_is_refused() -> None:
    with pytest.raises(ValidationError, match="no measure of scale"):
        scale(measure=Measure.NUCLEI_LIGHTNESS)


@pytest.mark.parametrize(("low", "median", "high"), [(2, 1, 3), (1, 3, 2), (1, 1, 1)])
def test_a_range_that_is_none_is_refused(low: float, median: float, high: float) -> None:
    with pytest.raises(ValidationError, match="not in order, or all the same"):
        MeasureRange(low=low, median=median, high=high, images_count=10)


def test_a_size_that_cannot_be_divided_by_is_refused() -> None:
    limits = MeasureRange(low=0, median=1, high=2, images_count=10)
    TrainingAppearance(images_count=10, measures={Measure.BACKGROUND_REDNESS: limits})
    with pytest.raises(ValidationError, match="not above 0"):
        TrainingAppearance(images_count=10, measures={Measure.NUCLEUS_DIAMETER: limits})
    with pytest.raises(ValidationError, match="more images than there are"):
        TrainingAppearance(images_count=9, measures={Measure.BACKGROUND_REDNESS: limits})


def test_the_documentation_has_the_same_words() -> None:
    page = (DOCS / "unfamiliar.md").read_text(encoding="utf-8")
    table = page.partition("| Measure | Side | What the page says |\n| --- | --- | --- |\n")[2].partition("\n\n")[0]
    assert table.splitlines() == [
        f"| `{measure}` | {direction} | {words.format(times='1.6' if direction is Direction.ABOVE else '0.6')} |"
        for measure, direction, words in WORDS
    ]
