"""The measurements of 'trainer evaluate' besides the figures on images as they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DRAWS = 3
"""Draws for each image, if a shift is drawn from a range."""


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """Measurements under shifts, with ``draws`` per image, and on ``foreign`` folders; ``seed`` of all draws."""

    shifts: bool = False
    draws: int = DRAWS
    foreign: tuple[Path, ...] = ()
    seed: int = 0
