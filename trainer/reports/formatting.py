"""Figures as cells of a table in the terminal."""

from __future__ import annotations

from collections.abc import Mapping


def percent(ratio: float | None) -> str:
    """Percent to two decimals; "-" if not defined."""
    return "-" if ratio is None else f"{100 * ratio:.2f} %"


def interval_cell(interval: tuple[float, float] | None) -> str:
    """An interval of ratios in percent; "-" if there is none."""
    return "-" if interval is None else f"{100 * interval[0]:.2f} to {100 * interval[1]:.2f}"


def counts_cell(counts: Mapping[str, int]) -> str:
    """Names with their counts; "-" if there are none."""
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "-"
