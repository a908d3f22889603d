"""Nuclei on real smears against hand-drawn truth; the limits were chosen on other fields of the first set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.nuclei import METHODS, draw_sheet, measure

Rows = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> Rows:
    ours = next(iter(METHODS))
    return {row["set"]: row for row in measure(shared_data, [ours])}


def test_white_cells_are_found_and_nothing_else(rows: Rows) -> None:
    assert rows["boxes, kept aside"]["found_pct"] >= 99
    assert rows["boxes, kept aside"]["precision_pct"] >= 97


def test_fields_without_white_cells_have_hardly_any_nuclei(rows: Rows) -> None:
    assert rows["frames-1280x960"]["false_per_field"] <= 0.3
    assert rows["boxes, quarters without"]["false_per_field"] <= 0.3


def test_outlines_are_those_that_people_drew(rows: Rows) -> None:
    assert rows["tecom300"]["dice"] >= 0.9
    assert rows["cellavision100"]["dice"] >= 0.95


def test_a_contact_sheet_can_be_drawn(shared_data: Path) -> None:
    sheet = draw_sheet(shared_data)
    assert sheet.dtype == np.uint8
    assert min(sheet.shape[:2]) > 1000
