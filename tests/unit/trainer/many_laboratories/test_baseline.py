"""The linear baseline never sees the cells that it judges, and the probe recognises laboratories."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.unit.trainer.cells.drawn_cells import listed, make_sources
from trainer.cells.laboratories.listing import ListedCell
from trainer.cells.laboratories.sources import Meaning
from trainer.many_laboratories import baseline
from trainer.many_laboratories.baseline import judge_by_baseline
from trainer.many_laboratories.figures import measure_laboratory
from trainer.many_laboratories.laboratory_probe import probe_laboratories

BLAST, NEUTROPHIL, LYMPHOCYTE = Meaning.BLAST, Meaning.NEUTROPHIL, Meaning.LYMPHOCYTE
SOURCES = make_sources("north", "south", "east", "west", testing=["west"])


def _cells(codes: Sequence[str], types: Sequence[Meaning], each: int) -> list[ListedCell]:
    return [
        listed(code, type_, f"{code}-{number % 10}", f"{code}-{type_}-{number}")
        for code in codes
        for type_ in types
        for number in range(each)
    ]


@pytest.mark.parametrize(
    "shared", [True, False], ids=["blasts-look-alike", "blasts-look-alike-in-one-laboratory-alone"]
)
def test_a_laboratory_left_out_teaches_the_baseline_nothing(monkeypatch: pytest.MonkeyPatch, *, shared: bool) -> None:
    monkeypatch.setattr(baseline, "INVERSE_REGULARISATIONS", (1e-3, 1e-2))
    codes = ("north", "south", "east", "west")
    cells = _cells(codes, (BLAST, NEUTROPHIL, LYMPHOCYTE), 40)
    blast = np.array([each.is_blast is True for each in cells])
    looks = np.random.default_rng(0).normal(3.0 * blast, 0.3)
    features = np.zeros((len(cells), 4), np.float32)
    for column, code in enumerate(codes):
        own = np.array([each.laboratory == code for each in cells])
        features[own, 0 if shared else column] = looks[own]
    scales = dict.fromkeys(codes, ("Scale: made up.", 30.0))
    found = judge_by_baseline(cells, features, SOURCES, scales, [f"{at}.png" for at in range(len(cells))])
    areas = {
        each.laboratory: measure_laboratory(each, resamples=10).figures.all_cells.estimates["blast_auroc_ratio"].value
        for each in found.judged
    }
    assert areas == pytest.approx(dict.fromkeys(codes, 1.0 if shared else 0.5), abs=0.03)
    parts = {each.laboratory: (each.part, len(each.cells)) for each in found.judged}
    assert parts["west"] == ("all", 120)
    assert all(part == "test" and 0 < count < 120 for code, (part, count) in parts.items() if code != "west")
    for each in found.judged:
        assert [sum(cell.probabilities or ()) for cell in each.cells] == pytest.approx([1] * len(each.cells))


def test_the_probe_finds_the_laboratory_in_features_that_hold_it_and_in_the_mix_of_types() -> None:
    cells = [*_cells(("north", "south"), (NEUTROPHIL,), 50), *_cells(("north", "south"), (LYMPHOCYTE,), 50)]
    # There are more neutrophils in the north.
    cells += [listed("north", NEUTROPHIL, f"north-{number}", f"more-{number}") for number in range(150)]
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (len(cells), 4)).astype(np.float32)
    telling = noise.copy()
    telling[:, 0] += 6 * np.array([each.laboratory == "north" for each in cells])
    rows = probe_laboratories(cells, telling, noise)
    assert [each.type for each in rows] == ["lymphocyte", "neutrophil", None]
    for row in rows:
        assert row.laboratories == ("north", "south")
        assert row.chance_ratio == 0.5
        assert row.raw_ratio > 0.95
        assert row.bundle_ratio == pytest.approx(0.5, abs=0.15)
    assert [each.type_alone_ratio for each in rows[:2]] == [0.5, 0.5]
    # From the type alone: 200 of 250 neutrophils and 50 of 100 lymphocytes are from the north.
    assert rows[2].type_alone_ratio == pytest.approx((200 / 250 + 50 / 100) / 2, abs=0.02)


def test_a_type_that_one_laboratory_has_alone_is_not_probed() -> None:
    cells = [*_cells(("north",), (BLAST,), 50), *_cells(("south",), (LYMPHOCYTE,), 50)]
    assert probe_laboratories(cells, np.zeros((100, 2)), np.zeros((100, 2))) == []
