"""Counters of a device that go on over its restarts."""

from __future__ import annotations

from uuid import UUID

from edge_agent.metric_families import Family, Sample
from edge_agent.metric_figures import Kind

_Key = tuple[str, tuple[str, ...]]


class RunningCounters:
    """Adds up what the sessions of a device counted.

    A device counts from zero when its agent starts. Prometheus would only notice that where the new count is below the
    old one; 5, a restart, and 7 would be taken for 2 more rather than 7.
    """

    def __init__(self) -> None:
        self._session: UUID | None = None
        self._before: dict[_Key, float] = {}
        """What ended sessions had counted."""
        self._now: dict[_Key, Sample] = {}

    def count(self, session: UUID, samples: list[Sample]) -> None:
        """Take the counters of a message. Messages come in order: those of older sessions are left out before."""
        is_new = self._session is not None and session != self._session
        self._session = session
        counted = {(each.family.name, each.labels): each for each in samples if each.family.kind is Kind.COUNTER}
        for key, last in self._now.items():
            began_anew = is_new and not last.family.lasts
            current = counted.get(key)
            # The camera's counts also begin anew in the middle of a session, when the configuration is read again.
            if began_anew or (current is not None and current.value < last.value):
                self._before[key] = self._before.get(key, 0.0) + last.value
                counted.setdefault(key, Sample(last.family, 0.0, last.labels))
            elif current is None:
                counted[key] = last
        self._now = counted

    def samples(self) -> list[Sample]:
        """The sums. None is ever lower than it was."""
        return [
            Sample(each.family, each.value + self._before.get(key, 0.0), each.labels) for key, each in self._now.items()
        ]


def is_counter(family: Family) -> bool:
    """Whether the family only grows."""
    return family.kind is Kind.COUNTER
