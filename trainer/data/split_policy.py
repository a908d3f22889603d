"""How a split is to be made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Disjoint(StrEnum):
    """What must not be on both sides of a split, beside twins."""

    TWINS = "twins"
    GROUPS = "groups"
    STAINS = "stains"


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of the data each part gets."""

    test: float
    validation: float
