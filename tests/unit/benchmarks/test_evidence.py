"""The measure itself on made-up maps, and the claim of docs/accuracy.md on a small sample of real fields."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.evidence import Example, load_examples, measure, to_chance, without_cells, without_other
from edge_agent.inference import Classifier, load_bundle


def test_the_measure_is_1_by_chance_and_the_inverse_of_the_area_at_best() -> None:
    cells = np.zeros((224, 224), np.bool_)
    cells[:112, :112] = True
    assert to_chance(np.full((224, 224), 3, np.float32), cells) == pytest.approx(1)
    assert to_chance(cells.astype(np.float32), cells) == pytest.approx(4)
    assert to_chance((~cells).astype(np.float32), cells) == 0


def test_painting_over_leaves_the_other_place_alone() -> None:
    field = np.full((224, 224, 3), 200, np.uint8)
    cells = np.zeros((224, 224), np.bool_)
    cells[20:60, 20:60] = True
    field[cells] = 90
    example = Example(field, cells)
    assert (without_cells(example) == 200).all()
    assert (without_other(example)[cells] == 90).all()


@pytest.mark.parametrize("bundle", ["accurate", "fast"])
def test_evidence_lies_on_cells_a_little_more_than_by_chance(bundle: str, shared_data: Path) -> None:
    """On the laboratory that a model is for. The limits leave room below what docs/accuracy.md says."""
    found = measure(Classifier(load_bundle(bundle)), load_examples(shared_data, "all4", 60, seed=5), seed=5)
    for key, limit in (("ratio", 1.03), ("gain", 0.05), ("cells_more_pct", 60)):
        measured = found.get(key)
        assert measured is not None, f"no cells or no evidence found: {found}"
        assert measured > limit, key
