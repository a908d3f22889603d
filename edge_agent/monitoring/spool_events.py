"""Events about the spool: messages that were dropped or quarantined, and files that were damaged."""

from __future__ import annotations

from collections import Counter

from edge_agent.contracts import EventKind
from edge_agent.errors import SpoolFull, StateEntryInvalid
from edge_agent.events.recorder import EventRecorder
from edge_agent.spool import Spool, SqliteSpool, read_state_entry

DROPS_INTERVAL_S = 60.0
"""Drops are reported at once, and then at most this often: a full spool has no room for an event about each."""

_REPORTED_KEY = "told_drops"
"""Key of the state entry with the numbers of refused and dropped messages that were reported."""


class SpoolEvents:
    """Records what happened to the spool since the last call. Belongs to one thread."""

    def __init__(self, spool: Spool, events: EventRecorder) -> None:
        self._spool = spool
        self._events = events
        self._drops_due_at_s = float("-inf")

    def record(self, now_s: float, *, last: bool = False) -> None:
        """Record what is new. ``now_s`` is from a monotonic clock; ``last`` reports without waiting."""
        self._record_damaged_files()
        self._record_quarantined_messages()
        self._record_drops(now_s, last=last)

    def _record_damaged_files(self) -> None:
        if not isinstance(self._spool, SqliteSpool):
            return
        for found in self._spool.pop_quarantined_files():
            self._events.record(
                EventKind.SPOOL_SET_ASIDE,
                f"{found.reason} {found.salvaged_count} messages were taken over into a new spool.",
                code=found.code,
                file=None if found.path is None else found.path.name,
                salvaged_count=found.salvaged_count,
            )

    def _record_quarantined_messages(self) -> None:
        """Record one event for all messages with the same topic and fault: a refused topic may have many."""
        found = self._spool.pop_quarantined_messages()
        counts = Counter((each.topic, each.code, each.reason) for each in found)
        for (topic, code, reason), count in counts.items():
            if topic == self._events.topics.event:
                # An event about it would be refused too. It is in the log.
                continue
            ids = [each.id for each in found if (each.topic, each.code, each.reason) == (topic, code, reason)]
            self._events.record(
                EventKind.MESSAGE_QUARANTINED,
                f"Messages for {topic} were quarantined ({count}): {reason}",
                code=code,
                topic=topic,
                message_id=None if ids[0] is None else str(ids[0]),
                count=count,
            )

    def _record_drops(self, now_s: float, *, last: bool) -> None:
        """Record messages refused or dropped since the last report, which may be from an earlier session."""
        stats = self._spool.stats()
        entry = read_state_entry(self._spool, _REPORTED_KEY, _parse_reported, on_invalid=self._record_unreadable)
        # Better to report a loss twice than not at all.
        reported = entry or (0, 0)
        refused = _since(reported[0], stats.refused_count)
        dropped = _since(reported[1], stats.dropped_count)
        if (refused == 0 and dropped == 0) or (now_s < self._drops_due_at_s and not last):
            return
        self._drops_due_at_s = now_s + DROPS_INTERVAL_S
        self._events.record(
            EventKind.MESSAGES_DROPPED,
            f"{refused} messages were refused and {dropped} dropped.",
            code=SpoolFull.code,
            state_entries={_REPORTED_KEY: f"{stats.refused_count} {stats.dropped_count}".encode()},
            refused_count=refused,
            dropped_count=dropped,
            refused_total_count=stats.refused_count,
            dropped_total_count=stats.dropped_count,
        )

    def _record_unreadable(self, error: StateEntryInvalid) -> None:
        self._events.record(
            EventKind.STATE_IGNORED,
            "The record of what was reported as dropped could not be read and is ignored; messages that were dropped "
            "before are reported again.",
            code=error.code,
            problem=error.message,
        )


def _parse_reported(value: bytes) -> tuple[int, int]:
    """Raises ``ValueError``."""
    refused, dropped = (int(number) for number in value.decode("ascii").split(" "))
    if refused < 0 or dropped < 0:
        raise ValueError("a count is negative")
    return refused, dropped


def _since(reported_count: int, count: int) -> int:
    """The increase since the report. A count smaller than the reported one is that of a new spool."""
    return count - reported_count if count >= reported_count else count
