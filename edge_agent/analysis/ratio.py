"""Probabilities as messages carry them."""

from __future__ import annotations


def rounded_ratio(probability: float) -> float:
    """Round to the precision of an int8 model, and never above 1 by a rounding error."""
    return min(1.0, round(float(probability), 6))
