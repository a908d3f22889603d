"""Splits: patients stay on one side, test laboratories are never trained with, and small ones are drawn more often."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trainer.cells.drawn_cells import listed, make_sources
from trainer.cells.laboratories.listing import ListedCell
from trainer.cells.laboratories.sources import Meaning
from trainer.cells.laboratories.splits import Half, assign_halves, leave_one_out, sampling_weights
from trainer.errors import DataError

LABORATORIES = ("north", "south", "east")
MEANINGS = (Meaning.BLAST, Meaning.NEUTROPHIL, Meaning.NOT_BLAST, Meaning.NOT_A_CELL)


@st.composite
def _cells(draw: st.DrawFn) -> list[ListedCell]:
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(LABORATORIES),
                st.sampled_from(MEANINGS),
                st.none() | st.integers(1, 9),
                st.integers(0, 99),
            ),
            max_size=60,
        )
    )
    return [
        listed(code, meaning, None if group is None else f"{code}-{group}", str(content))
        for code, meaning, group, content in drawn
    ]


@given(_cells())
def test_no_patient_and_no_content_is_on_both_sides(cells: list[ListedCell]) -> None:
    sides = defaultdict(set)
    for cell, half in zip(cells, assign_halves(cells), strict=True):
        sides[cell.laboratory, cell.group or cell.sha256].add(half)
    assert all(len(each) == 1 for each in sides.values())


@given(_cells(), st.randoms())
def test_halves_do_not_depend_on_the_order(cells: list[ListedCell], random: object) -> None:
    by_unit = dict(zip(((c.laboratory, c.group, c.sha256) for c in cells), assign_halves(cells), strict=True))
    reverse = cells[::-1]
    again = zip(((c.laboratory, c.group, c.sha256) for c in reverse), assign_halves(reverse), strict=True)
    assert dict(again) == by_unit


@given(_cells())
def test_both_halves_have_blasts_and_others_where_units_suffice(cells: list[ListedCell]) -> None:
    halves = assign_halves(cells)
    for code in LABORATORIES:
        for is_blast in (True, False):
            having = [
                (cell.group or cell.sha256, half)
                for cell, half in zip(cells, halves, strict=True)
                if cell.laboratory == code and (cell.is_blast is True) is is_blast
            ]
            if len({unit for unit, _ in having}) > 1:
                assert {half for _, half in having} == set(Half)


KNOWN = {
    "jhu-001": Half.TEST,
    "jhu-024": Half.VALIDATION,
    "jhu-038": Half.VALIDATION,
    "jhu-044": Half.TEST,
    "cnmc-16": Half.TEST,
    "cnmc-H10": Half.VALIDATION,
}


def test_known_patients_keep_the_half_that_choices_were_made_with() -> None:
    """Figures of the test half mean something only as long as no patient ever moves there from validation."""
    cells = [listed(name.split("-")[0], Meaning.BLAST, name) for name in KNOWN]
    assert dict(zip(KNOWN, assign_halves(cells), strict=True)) == KNOWN


def _of_three() -> list[ListedCell]:
    return [
        listed(code, meaning, sha256=f"{code}{number}", path=Path(f"{code}/{number}.png"))
        for code in LABORATORIES
        for number, meaning in enumerate((*MEANINGS, *MEANINGS))
    ]


def test_a_laboratory_that_is_left_out_is_only_judged() -> None:
    cells = _of_three()
    folds = list(leave_one_out(cells, make_sources(*LABORATORIES, testing=["east"])))
    assert [fold.laboratory for fold in folds] == ["north", "south"]
    for fold in folds:
        training = [cells[at] for at in fold.training]
        assert {cell.laboratory for cell in training} == {"north", "south"} - {fold.laboratory}
        assert all(cell.is_nucleated for cell in training)
        assert len(training) == 6
        judged = [*fold.validation, *fold.test]
        assert sorted(judged) == [at for at, cell in enumerate(cells) if cell.laboratory == fold.laboratory]
        halves = assign_halves(cells)
        assert all(halves[at] is Half.TEST for at in fold.test)
        assert all(halves[at] is Half.VALIDATION for at in fold.validation)


def test_leaving_one_out_takes_two() -> None:
    with pytest.raises(DataError, match="cells of north are there"):
        list(leave_one_out([listed("north", Meaning.BLAST)], make_sources("north", "south")))
    with pytest.raises(DataError, match="cells of no laboratory are there"):
        list(leave_one_out([], make_sources("north", "south")))


def test_weights_lie_halfway_between_cells_and_types_and_laboratories_alike() -> None:
    cells = [listed("north", Meaning.BLAST)] * 100 + [listed("north", Meaning.NEUTROPHIL)] * 25
    cells += [listed("south", Meaning.BLAST)] * 4
    weights = sampling_weights(cells)
    north_blasts, north_neutrophils, south = weights[:100].sum(), weights[100:125].sum(), weights[125:].sum()
    assert north_blasts / north_neutrophils == pytest.approx((100 / 25) ** 0.5)
    assert (north_blasts + north_neutrophils) / south == pytest.approx(((10 + 5) / 2) ** 0.5)
    assert weights.sum() == pytest.approx(1)


@pytest.mark.parametrize(("power", "expected"), [(0.0, 100 / 129), (1.0, 1 / 4)], ids=["cells-alike", "all-alike"])
def test_the_powers_go_from_all_cells_alike_to_all_types_and_laboratories_alike(power: float, expected: float) -> None:
    cells = [listed("north", Meaning.BLAST)] * 100 + [listed("north", Meaning.NEUTROPHIL)] * 25
    cells += [listed("south", Meaning.BLAST)] * 4
    weights = sampling_weights(cells, type_power=power, laboratory_power=power)
    assert weights[:100].sum() == pytest.approx(expected)


@given(_cells())
def test_weights_are_positive_and_sum_to_one(cells: list[ListedCell]) -> None:
    weights = sampling_weights(cells)
    assert weights.shape == (len(cells),)
    assert (weights > 0).all()
    assert not cells or weights.sum() == pytest.approx(1)
    assert np.isfinite(weights).all()
