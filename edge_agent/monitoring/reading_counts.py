"""How many readings of this run had which outcome, reason and label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self, TypeVar

from edge_agent.contracts import Outcome, Result

Key = TypeVar("Key", bound=str)


@dataclass(frozen=True, slots=True)
class ReadingCounts:
    """Counts since the agent started, of results that the spool refused, too. Immutable, so any thread may read it."""

    readings_count: int = 0
    outcomes_count: Mapping[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    """With all outcomes; their sum is ``readings_count``."""
    reasons_count: Mapping[str, int] = field(default_factory=dict)
    """By the reason of a refusal, or the code of a failure."""
    labels_count: Mapping[str, int] = field(default_factory=dict)

    def counting(self, result: Result) -> Self:
        """With one more reading."""
        reason = result.reason or (None if result.error is None else result.error.code)
        return type(self)(
            self.readings_count + 1,
            _one_more(self.outcomes_count, result.outcome),
            self.reasons_count if reason is None else _one_more(self.reasons_count, str(reason)),
            self.labels_count if result.label is None else _one_more(self.labels_count, result.label),
        )


def _one_more(counts: Mapping[Key, int], key: Key) -> Mapping[Key, int]:
    return {**counts, key: counts.get(key, 0) + 1}
