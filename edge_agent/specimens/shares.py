"""Turns counts into shares with their intervals."""

from __future__ import annotations

from edge_agent.contracts import CellsShare, Share
from edge_agent.intervals import wilson_interval


def share_of_fields(count: int, total: int) -> Share:
    """``count`` of ``total`` classified fields."""
    return Share.model_validate({"fields_count": count, **_ratios(count, total)})


def share_of_cells(count: int, total: int) -> CellsShare:
    """``count`` of ``total`` judged cells."""
    return CellsShare.model_validate({"cells_count": count, **_ratios(count, total)})


def _ratios(count: int, total: int) -> dict[str, float | None]:
    if total == 0:
        return {"ratio": None, "low_ratio": None, "high_ratio": None}
    low, high = wilson_interval(count, total)
    return {"ratio": round(count / total, 6), "low_ratio": round(low, 6), "high_ratio": round(high, 6)}
