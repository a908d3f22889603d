"""The red-cell ruler against hand-drawn boxes around red cells, on the fields kept aside from tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.red_cells import measure


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> list[dict[str, Any]]:
    if not (shared_data / "boxes").is_dir():
        pytest.skip(f"no boxes in {shared_data}")
    return [row for row in measure(shared_data) if row["set"] == "boxes, kept aside"]


def test_the_ruler_is_right_within_ten_percent_and_its_interval_holds_the_truth(rows: list[dict[str, Any]]) -> None:
    assert [row["input"] for row in rows] == ["view of 320 x 240 px", "squeezed to 224 px"]
    for row in rows:
        assert row["median_error_pct"] <= 10
        assert row["covered_pct"] >= 90
        # An interval that contains everything, or a ruler that never answers, would be useless.
        assert row["interval_width_pct"] <= 40
        assert row["unanswered_pct"] <= 30
