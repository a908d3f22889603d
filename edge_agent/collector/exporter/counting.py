"""Counters of a device that continue over its restarts."""

from __future__ import annotations

from uuid import UUID

from edge_agent.metric_families import Family, Sample
from edge_agent.metric_figures import Kind

_Key = tuple[str, tuple[str, ...]]


class RunningCounters:
    """Adds up the counts of a device's sessions.

    A device counts from zero when its agent starts. Prometheus would notice that only if the new count is below the old
    one; 5, a restart, and 7 would count as 2 more rather than 7.
    """

    def __init__(self) -> None:
        self._session: UUID | None = None
        self._before: dict[_Key, float] = {}
        """The counts of ended sessions."""
        self._now: dict[_Key, Sample] = {}

    def count(self, session: UUID, samples: list[Sample]) -> None:
        """Take the counters of a message. Messages must come in order, without those of older sessions."""
        is_new = self._session is not None and session != self._session
        self._session = session
        counted = {(each.family.name, each.labels): each for each in samples if each.family.kind is Kind.COUNTER}
        for key, last in self._now.items():
            began_anew = is_new and not last.family.lasts
            current = counted.get(key)
            # The camera's counts also restart in the middle of a session, when the configuration is read again.
            if began_anew or (current is not None and current.value < last.value):
                self._before[key] = self._before.get(key, 0.0) + last.value
                counted.setdefault(key, Sample(last.family, 0.0, last.labels))
            elif current is None:
                counted[key] = last
        self._now = counted

    def samples(self) -> list[Sample]:
        """The sums, which never decrease."""
        return [
            Sample(each.family, each.value + self._before.get(key, 0.0), each.labels) for key, each in self._now.items()
        ]


def is_counter(family: Family) -> bool:
    """Whether the values of the family only grow."""
    return family.kind is Kind.COUNTER
