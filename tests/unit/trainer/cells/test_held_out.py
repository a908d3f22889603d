"""The record of a cells bundle: a patient with hundreds of cells does not decide whether it may be used."""

from __future__ import annotations

import numpy as np

from edge_agent.contracts.manifest import Thresholds
from tests.unit.trainer.cells.drawn_cells import listed
from trainer.cells.bundling.held_out import MAX_PATIENT_CELLS_COUNT, HeldOut, measure_cells_evidence
from trainer.cells.laboratories.sources import TYPES, Meaning


def held_out(cells_of: dict[str | None, int], wrong_of: str | None) -> HeldOut:
    """Neutrophils of some patients, all of them named correctly except for those of one patient."""
    cells = [
        listed("north", Meaning.NEUTROPHIL, group, f"{group}-{number}")
        for group, count in cells_of.items()
        for number in range(count)
    ]
    probabilities = np.zeros((len(cells), len(TYPES)))
    for row, cell in zip(probabilities, cells, strict=True):
        row[TYPES.index(Meaning.MONOCYTE if cell.group == wrong_of else Meaning.NEUTROPHIL)] = 1
    thresholds = Thresholds(max_unfamiliarity_score=10, min_confidence_ratio=0.5)
    return HeldOut(tuple(cells), probabilities, np.ones(len(cells), np.float32), thresholds)


def test_a_patient_with_hundreds_of_cells_counts_as_one_with_twenty() -> None:
    found = measure_cells_evidence(held_out({"a": 500, "b": 30, "c": 5}, "a"), (), "patients", seed=1)
    assert found is not None
    counted = {each.code: each for each in found.classes}["neutrophil"]
    assert counted.held_out_images_count == 2 * MAX_PATIENT_CELLS_COUNT + 5
    assert counted.held_out_right_count == MAX_PATIENT_CELLS_COUNT + 5
    assert f"{counted.held_out_images_count} test cells" in found.held_out


def test_cells_whose_patient_is_not_known_all_count() -> None:
    found = measure_cells_evidence(held_out({None: 100}, "a"), (), "patients", seed=1)
    assert found is not None
    assert sum(each.held_out_images_count for each in found.classes) == 100
