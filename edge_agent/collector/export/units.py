"""The unit of a figure, by the end of its name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as people write it, and its code in UCUM, the Unified Code for Units of Measure."""

    name: str
    ucum: str


_BY_ENDING = {
    "ratio": Unit("ratio, 0 to 1", "1"),
    "probabilities": Unit("ratio, 0 to 1", "1"),
    "pct": Unit("%", "%"),
    "count": Unit("count", "1"),
    "score": Unit("score, without a unit", "{score}"),
    "um_per_pixel": Unit("µm per pixel", "um/{pixel}"),
    "ms": Unit("ms", "ms"),
}


def unit_of(name: str) -> Unit | None:
    """The unit of a figure; None for names, moments, and plain numbers of something, such as a slide's."""
    return next((unit for ending, unit in _BY_ENDING.items() if name == ending or name.endswith(f"_{ending}")), None)
