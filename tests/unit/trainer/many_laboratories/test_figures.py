"""Figures and their intervals: patients are resampled if they are known, and what cannot be resampled is stated."""

from __future__ import annotations

import numpy as np
import pytest

from edge_agent.intervals import wilson_interval
from tests.unit.trainer.many_laboratories.judged_cells import judged, said
from trainer.cells.laboratories.sources import Meaning
from trainer.many_laboratories.figures import mean_estimate, measure_laboratory
from trainer.many_laboratories.judged import JudgedCell

BLAST, LYMPHOCYTE, PLATELET = Meaning.BLAST, Meaning.LYMPHOCYTE, Meaning.NOT_A_CELL
AREA = "blast_auroc_ratio"


def _width(interval: tuple[float, float] | None) -> float:
    assert interval is not None
    return interval[1] - interval[0]


def _cells(groups: int, per_group: int, *, known: bool, seed: int = 0) -> list[JudgedCell]:
    """Half of the patients have blasts; how blast-like cells look depends on the patient."""
    rng = np.random.default_rng(seed)
    cells = []
    for group in range(groups):
        looks = rng.uniform(0.2, 0.8)
        is_blast = group % 2 == 0
        for _ in range(per_group):
            ratio = float(np.clip(looks + rng.normal(0.1 if is_blast else -0.1, 0.05), 0, 1))
            cells.append(said(BLAST if is_blast else LYMPHOCYTE, ratio, group=f"p{group}" if known else None))
    return cells


def test_patients_are_drawn_whole_where_they_are_known() -> None:
    by_patients = measure_laboratory(judged(_cells(20, 10, known=True))).figures
    by_cells = measure_laboratory(judged(_cells(20, 10, known=False))).figures
    one, other = by_patients.all_cells.estimates[AREA], by_cells.all_cells.estimates[AREA]
    assert (by_patients.patients_count, by_patients.patients_without_blasts_count) == (20, 10)
    assert (by_cells.patients_count, by_cells.patients_without_blasts_count) == (None, None)
    assert one.value == other.value
    assert _width(one.interval) > 1.8 * _width(other.interval)
    assert one.interval is not None
    assert one.interval[0] < one.value < one.interval[1]


def test_resamples_without_a_kind_of_patient_are_counted_and_left_out() -> None:
    cells = [said(BLAST, 0.8, group=f"ill-{number}") for number in range(5)] + [said(LYMPHOCYTE, 0.3, group="well")]
    found = measure_laboratory(judged(cells)).figures.all_cells.estimates[AREA]
    # The one healthy patient of six is missing from (5 / 6) ** 6 = 33 % of the resamples.
    assert found.defined_resamples_ratio == pytest.approx(0.665, abs=0.05)
    assert found.interval == (1, 1)


def test_refused_cells_count_among_all_and_not_among_the_judged() -> None:
    cells = [
        *(said(BLAST, 0.1, refusal="unfamiliar") for _ in range(5)),
        *(said(BLAST, 0.9) for _ in range(5)),
        *(said(LYMPHOCYTE, 0.4) for _ in range(10)),
        said(PLATELET, 0.5, refusal="unfamiliar"),
        said(PLATELET, 0.5),
    ]
    found = measure_laboratory(judged(cells)).figures
    assert (found.cells_count, found.blasts_count, found.not_cells_count) == (20, 10, 2)
    assert found.all_cells.estimates[AREA].value == pytest.approx(0.5)
    assert (found.judged_cells.cells_count, found.judged_cells.estimates[AREA].value) == (15, 1)
    assert found.refused.value == 0.25
    assert found.refused.interval == wilson_interval(5, 20)
    assert found.not_cells_refused is not None
    assert found.not_cells_refused.interval == wilson_interval(1, 2)
    assert found.reasons_count == {"unfamiliar": 5}


def test_a_cell_that_the_network_did_not_see_is_refused_and_has_no_score() -> None:
    unseen = said(BLAST, 0.9, refusal="field_too_small").model_copy(
        update={"probabilities": None, "blast_ratio": None, "unfamiliarity_score": None}
    )
    found = measure_laboratory(judged([unseen, said(BLAST, 0.8), said(LYMPHOCYTE, 0.1)])).figures
    assert (found.not_seen_count, found.all_cells.cells_count, found.cells_count) == (1, 2, 3)
    assert found.refused.value == pytest.approx(1 / 3)


def test_where_all_cells_are_refused_there_is_no_figure_of_the_judged() -> None:
    found = measure_laboratory(judged([said(BLAST, 0.8, refusal="unfamiliar", group="a")])).figures
    assert found.judged_cells.estimates == {}
    assert found.refused.value == 1


def test_a_mean_is_narrower_than_what_it_is_of_and_needs_all_of_them() -> None:
    one, other = (
        measure_laboratory(judged(_cells(20, 10, known=True, seed=seed), laboratory=f"lab-{seed}")) for seed in (1, 2)
    )
    found = mean_estimate([one, other], AREA)
    estimates = [each.figures.all_cells.estimates[AREA] for each in (one, other)]
    assert found is not None
    assert found.value == pytest.approx(np.mean([each.value for each in estimates]))
    assert _width(found.interval) < np.mean([_width(each.interval) for each in estimates])
    healthy = measure_laboratory(judged([said(LYMPHOCYTE, 0.1)]))
    assert mean_estimate([one, healthy], AREA) is None
    assert mean_estimate([], AREA) is None


def test_the_same_cells_give_the_same_figures() -> None:
    cells = judged(_cells(6, 4, known=True))
    assert measure_laboratory(cells).figures == measure_laboratory(cells).figures
    assert measure_laboratory(cells, seed=1).figures != measure_laboratory(cells).figures
