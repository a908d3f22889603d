"""Which images a split must keep in one part, and how large its parts are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Disjoint(StrEnum):
    """What must not be in two parts of a split, apart from near-duplicates."""

    NEAR_DUPLICATES = "near-duplicates"
    GROUPS = "groups"
    STAINS = "stains"

    @classmethod
    def _missing_(cls, value: object) -> Disjoint | None:
        # Its name in release 0.1.
        return cls.NEAR_DUPLICATES if value == "twins" else None


@dataclass(frozen=True, slots=True)
class Shares:
    """Share of the images, 0 to 1, for test and validation."""

    test: float
    validation: float
