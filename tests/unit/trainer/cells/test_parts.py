"""Parts: no patient's cells on both sides, the same parts whatever is added, and a file that records them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trainer.cells.drawn_cells import listed
from trainer.cells.laboratories.listing import ListedCell
from trainer.cells.laboratories.sources import Meaning
from trainer.cells.training.options import Apart, CellsOptions
from trainer.cells.training.parts import assign_parts, read_parts, write_parts
from trainer.data.split import Part
from trainer.errors import DataError, RunError


def options(**changes: object) -> CellsOptions:
    return CellsOptions.model_validate(
        {
            "data": "data",
            "out": "out",
            "weights": "weights.npz",
            "cache": "cache",
            "leave_out": None,
            "apart": Apart.PATIENTS,
            "test_share": 0.3,
            "validation_share": 0.2,
            "variants": 1,
            "epochs": 1,
            "seed": 1,
            **changes,
        }
    )


def cells(count: int = 400, patients: int = 40, laboratory: str = "north") -> list[ListedCell]:
    return [
        listed(laboratory, Meaning.BLAST, f"{laboratory}-{number % patients}", f"{laboratory}{number:04d}")
        for number in range(count)
    ]


def test_a_patient_is_on_one_side_unless_pictures_alone_are_kept_apart() -> None:
    some = cells()
    for apart, together in ((Apart.PATIENTS, True), (Apart.PICTURES, False)):
        parts = assign_parts(some, options(apart=apart))
        by_patient = {
            each.group: {part for cell, part in zip(some, parts, strict=True) if cell.group == each.group}
            for each in some
        }
        assert all(len(found) == 1 for found in by_patient.values()) is together
        assert {Part.TRAIN, Part.VALIDATION, Part.TEST} == set(parts)


@given(st.integers(0, 100), st.sets(st.integers(0, 99), min_size=1))
def test_cells_that_are_added_move_no_other(seed: int, kept: set[int]) -> None:
    every = cells(100, 100)
    of_all = assign_parts(every, options(seed=seed))
    some = [every[position] for position in sorted(kept)]
    assert assign_parts(some, options(seed=seed)) == [of_all[position] for position in sorted(kept)]


def test_shares_are_about_what_is_asked_for() -> None:
    parts = assign_parts(cells(4000, 4000), options())
    assert parts.count(Part.TEST) == pytest.approx(1200, rel=0.1)
    assert parts.count(Part.VALIDATION) == pytest.approx(800, rel=0.1)


def test_of_a_laboratory_that_is_left_out_all_are_for_testing_and_of_others_none() -> None:
    some = [*cells(200), *cells(50, 50, "south")]
    parts = assign_parts(some, options(leave_out="south"))
    assert set(parts[200:]) == {Part.TEST}
    assert set(parts[:200]) == {Part.TRAIN, Part.VALIDATION}


def test_a_file_says_the_part_of_each_cell(tmp_path: Path) -> None:
    some = cells(50)
    parts = assign_parts(some, options())
    path = tmp_path / "cells.csv"
    write_parts(path, some, parts)
    assert read_parts(path, some[::-1]) == parts[::-1]
    with pytest.raises(DataError, match="1 cells"):
        read_parts(path, [*some, listed("south", Meaning.BLAST, None, "new")])
    path.write_text("laboratory,sha256,part\nnorth,1,perhaps\n")
    with pytest.raises(RunError, match="damaged"):
        read_parts(path, some)
    with pytest.raises(RunError, match="cannot be read"):
        read_parts(tmp_path / "other.csv", some)
