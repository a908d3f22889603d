"""The spool's record of the messages in its file: the state of each, and counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from edge_agent.errors import MessageDamaged
from edge_agent.spool.base import MAX_REASON_CHARS, Message, QuarantinedMessage
from edge_agent.spool.rows import Counters, DamagedRow, Row

FindRow = Callable[[int, int | None], Row | DamagedRow | None]
"""Returns the first row whose number is above the first argument and at most the second."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """Rows at the start of a transaction that it removes, or must not touch."""

    acknowledged: list[int]
    quarantined: dict[int, tuple[str, str]]
    in_flight: set[int]

    @property
    def not_to_drop(self) -> set[int]:
        """Numbers of messages that must not be dropped."""
        return self.in_flight | {*self.acknowledged, *self.quarantined}


class Ledger:
    """Not thread-safe: callers hold the spool's lock. Numbers are those of the rows in the file.

    A message in the file waits unless it is in flight, or was acknowledged or quarantined and only its row remains.
    """

    def __init__(
        self, counters: Counters, *, stored_count: int, stored_bytes: int, last_number: int, backlog_until: int
    ) -> None:
        """Messages up to ``backlog_until`` are the backlog, later ones are live."""
        self.counters = counters
        self.stored_count = stored_count
        self.stored_bytes = stored_bytes
        self.last_number = last_number
        self._clock_base_s, self._opened_at = counters.clock_s, time.monotonic()
        self._backlog_after, self.backlog_until = 0, backlog_until
        self._live_after = backlog_until
        self._in_flight: dict[UUID, Row] = {}
        self._acknowledged: set[int] = set()
        # Code and reason by number.
        self._quarantined: dict[int, tuple[str, str]] = {}
        self._unreported: list[QuarantinedMessage] = []

    @property
    def in_flight_count(self) -> int:
        """Messages in flight."""
        return len(self._in_flight)

    @property
    def is_dirty(self) -> bool:
        """Whether the file has rows that are to be removed."""
        return bool(self._acknowledged or self._quarantined)

    def clock_s(self) -> float:
        """Time during which the spool was open, in seconds."""
        return self._clock_base_s + time.monotonic() - self._opened_at

    def counters_now(self) -> Counters:
        """A copy with the current clock."""
        return replace(self.counters, clock_s=self.clock_s())

    def take(self, find: FindRow, *, live: bool) -> Message | None:
        """Take the next live or backlog message, which is then in flight.

        Rows that are not messages are quarantined.
        """
        while self.stored_count:
            row = find(self._live_after, None) if live else find(self._backlog_after, self.backlog_until)
            if row is None:
                return None
            if live:
                self._live_after = row.number
            else:
                self._backlog_after = row.number
            if row.number in self._acknowledged or row.number in self._quarantined:
                continue
            if isinstance(row, DamagedRow):
                self._set_apart(row, QuarantinedMessage(None, row.topic, MessageDamaged.code, row.reason))
                continue
            message = row.message
            known = self._in_flight.setdefault(message.id, row)
            if known is row:
                return message
            if known.number != row.number:
                reason = "The id is that of another message."
                self._set_apart(row, QuarantinedMessage(message.id, message.topic, MessageDamaged.code, reason))
        return None

    def oldest(self, find: FindRow) -> Row | None:
        """The oldest message that waits or is in flight."""
        after = 0
        while (row := find(after, None)) is not None:
            if isinstance(row, Row) and row.number not in self._acknowledged and row.number not in self._quarantined:
                return row
            after = row.number
        return None

    def acknowledge(self, message_id: UUID) -> bool:
        """Mark a message as acknowledged. False if it was not in flight."""
        row = self._in_flight.pop(message_id, None)
        if row is None:
            return False
        self._acknowledged.add(row.number)
        self.stored_count -= 1
        self.stored_bytes -= row.size
        self.counters.acknowledged += 1
        return True

    def quarantine(self, message_id: UUID, code: str, reason: str) -> bool:
        """Mark a message as quarantined. False if it was not in flight."""
        row = self._in_flight.pop(message_id, None)
        if row is None:
            return False
        self._set_apart(row, QuarantinedMessage(message_id, row.message.topic, code, reason[:MAX_REASON_CHARS]))
        return True

    def _set_apart(self, row: Row | DamagedRow, quarantined: QuarantinedMessage) -> None:
        self._quarantined[row.number] = (quarantined.code, quarantined.reason)
        self._unreported.append(quarantined)
        self.stored_count -= 1
        self.stored_bytes -= row.size
        self.counters.quarantined += 1

    def add_unreported(self, quarantined: Sequence[QuarantinedMessage]) -> None:
        """Add messages that were quarantined elsewhere to those to be reported."""
        self._unreported += quarantined

    def pop_unreported(self) -> list[QuarantinedMessage]:
        """The messages that were quarantined since the last call."""
        unreported, self._unreported = self._unreported, []
        return unreported

    def requeue_all(self) -> None:
        """Everything stored becomes backlog."""
        self._in_flight.clear()
        self._backlog_after, self.backlog_until = 0, self.last_number
        self._live_after = self.last_number

    def leaving(self) -> Leaving:
        """Rows to remove with the next transaction, and those in flight."""
        return Leaving(
            sorted(self._acknowledged), dict(self._quarantined), {row.number for row in self._in_flight.values()}
        )

    def settle(
        self,
        leaving: Leaving,
        *,
        appended_bytes: int,
        numbers: Sequence[int],
        dropped: Mapping[int, int],
        evicted_count: int,
    ) -> None:
        """Apply a durable transaction that added ``numbers`` and removed ``leaving`` and ``dropped`` (sizes by number).

        A message that was acknowledged meanwhile counts as acknowledged, not dropped. One that was quarantined
        meanwhile counts as dropped, since its row is gone.
        """
        self._acknowledged.difference_update(leaving.acknowledged)
        for number in leaving.quarantined:
            self._quarantined.pop(number, None)
        overtaken = {number for number in dropped if number in self._acknowledged}
        self._acknowledged -= overtaken
        for number in dropped.keys() & self._quarantined.keys():
            # Its row is gone, so it counts as dropped.
            del self._quarantined[number]
            overtaken.add(number)
            self.counters.quarantined -= 1
            self.counters.dropped += 1
        really = {number: size for number, size in dropped.items() if number not in overtaken}
        self._in_flight = {key: row for key, row in self._in_flight.items() if row.number not in really}
        self.counters.accepted += len(numbers)
        self.counters.dropped += len(really) + evicted_count
        self.counters.quarantined -= evicted_count
        self.stored_count += len(numbers) - len(really)
        self.stored_bytes += appended_bytes - sum(really.values())
        if numbers:
            self.last_number = numbers[-1]

    def forget_leaving(self) -> None:
        """Forget which rows are to be removed; they stay in the file."""
        self._acknowledged.clear()
        self._quarantined.clear()

    def forget_acknowledged(self, numbers: Collection[int]) -> None:
        """Forget acknowledged messages whose rows were removed."""
        self._acknowledged.difference_update(numbers)

    def counters_after_removing(self, numbers: Collection[int]) -> Counters:
        """The counters for a file from which only these acknowledged rows were removed."""
        counters = self.counters_now()
        counters.acknowledged -= len(self._acknowledged) - len(numbers)
        counters.quarantined -= len(self._quarantined)
        return counters

    def hand_over(self, rows: Sequence[Row], numbers: Sequence[int], successor: Ledger) -> None:
        """Pass messages in flight or unreported to the ledger of a new file, in which ``rows`` have ``numbers``."""
        new_numbers = dict(zip((row.number for row in rows), numbers, strict=True))
        successor._in_flight = {
            key: replace(row, number=new_numbers[row.number])
            for key, row in self._in_flight.items()
            if row.number in new_numbers
        }
        successor._unreported = self._unreported + successor._unreported
