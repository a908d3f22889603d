"""Both spools against one model of a spool's promises."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from uuid_utils.compat import uuid7

from edge_agent.errors import SpoolFull
from edge_agent.spool import MemorySpool, Message, Spool, SpoolLimits, SqliteSpool

ROOM = 5
PAYLOAD = b"0123456789"
PATIENCE_S = 60.0
LIMITS = SpoolLimits(max_bytes=ROOM * len(PAYLOAD), max_age_s=3600, commit_delay_s=0)


def message() -> Message:
    return Message(uuid7(), "leukoscope/v1/site/device/result/camera", PAYLOAD)


class SpoolMachine(RuleBasedStateMachine):
    """The model: ids that wait live and as backlog, ids in flight, and ids that nobody has called durable yet."""

    spool: Spool

    def __init__(self) -> None:
        super().__init__()
        self.live: list[UUID] = []
        self.backlog: list[UUID] = []
        self.in_flight: list[UUID] = []
        self.order: list[UUID] = []
        self.loose: list[UUID] = []
        self.loose_acknowledged: list[UUID] = []
        self.loose_quarantined: list[UUID] = []
        self.acknowledged = self.quarantined = self.refused = self.accepted = 0
        self.note = b""
        self.loose_note = b""

    def settle(self) -> None:
        assert self.spool.flush(PATIENCE_S)
        self.live += self.loose
        self.loose, self.loose_acknowledged, self.loose_quarantined = [], [], []
        self.note = self.loose_note

    @property
    def stored(self) -> list[UUID]:
        kept = {*self.live, *self.backlog, *self.in_flight, *self.loose}
        return [each for each in self.order if each in kept]

    @rule(durable=st.booleans())
    def enqueue(self, durable: bool) -> None:
        new = message()
        if len(self.stored) >= ROOM:
            with pytest.raises(SpoolFull):
                self.spool.append(new, {"last": new.id.bytes})
            self.refused += 1
            return
        self.spool.append(new, {"last": new.id.bytes})
        self.loose.append(new.id)
        self.order.append(new.id)
        self.loose_note = new.id.bytes
        self.accepted += 1
        if durable:
            self.settle()

    @rule()
    def fill(self) -> None:
        while len(self.stored) < ROOM:
            self.enqueue(durable=False)
        self.enqueue(durable=False)

    @rule(live=st.booleans())
    def take(self, live: bool) -> None:
        self.settle()
        waiting = self.live if live else self.backlog
        taken = self.spool.take(live=live)
        if not waiting:
            assert taken is None
            return
        assert taken is not None
        assert taken.id == waiting.pop(0)
        assert taken.payload == PAYLOAD
        self.in_flight.append(taken.id)

    @rule(number=st.integers(0, ROOM))
    def acknowledge(self, number: int) -> None:
        if number < len(self.in_flight):
            known = self.in_flight.pop(number)
            self.spool.acknowledge(known)
            self.loose_acknowledged.append(known)
            self.acknowledged += 1

    @rule(number=st.integers(0, ROOM))
    def quarantine(self, number: int) -> None:
        if number < len(self.in_flight):
            known = self.in_flight.pop(number)
            self.spool.quarantine(known, "broker_refused", "not authorized")
            assert [each.id for each in self.spool.pop_quarantined_messages()] == [known]
            self.loose_quarantined.append(known)
            self.quarantined += 1

    @rule()
    def acknowledge_a_stranger(self) -> None:
        self.spool.acknowledge(uuid7())
        self.spool.quarantine(uuid7(), "broker_refused", "not authorized")

    @rule()
    def connect_or_drop(self) -> None:
        self.settle()
        stored = self.stored
        self.spool.requeue_all()
        self.backlog, self.live, self.in_flight = stored, [], []

    @rule()
    def look(self) -> None:
        self.counts_reconcile()

    def counts_reconcile(self) -> None:
        self.settle()
        stats = self.spool.stats()
        assert stats.waiting_count == len(self.live) + len(self.backlog)
        assert stats.in_flight_count == len(self.in_flight)
        assert stats.refused_count == self.refused
        assert stats.accepted_count == self.accepted
        assert stats.acknowledged_count == self.acknowledged
        assert stats.quarantined_count == self.quarantined
        gone = stats.acknowledged_count + stats.quarantined_count
        assert stats.accepted_count - gone == stats.waiting_count + stats.in_flight_count
        assert stats.stored_bytes == len(self.stored) * len(PAYLOAD)
        assert (stats.oldest_age_s is None) == (not self.stored)
        assert self.spool.state_entries("la") == ({"last": self.note} if self.note else {})

    def teardown(self) -> None:
        self.counts_reconcile()


class MemorySpoolMachine(SpoolMachine):
    def __init__(self) -> None:
        super().__init__()
        self.spool = MemorySpool(LIMITS.max_bytes)

    @rule()
    def kill(self) -> None:
        """Lose everything, unlike the other spool."""
        self.__init__()  # type: ignore[misc]  # a new life


class SqliteSpoolMachine(SpoolMachine):
    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._lives = 0
        self._open(Path(self._folder.name, "0"))

    def _open(self, folder: Path) -> None:
        self.spool = SqliteSpool(folder, LIMITS)

    def _begin_with(self, stored: list[UUID]) -> None:
        self.backlog, self.live, self.in_flight, self.loose = stored, [], [], []
        self.loose_acknowledged, self.loose_quarantined = [], []

    @rule()
    def restart(self) -> None:
        self.settle()
        stored = self.stored
        self.spool.close()
        self._open(Path(self._folder.name, str(self._lives)))
        self._begin_with(stored)

    @rule()
    def kill(self) -> None:
        """End the process between two instructions: messages not yet called durable may be there or not, in order."""
        spool = self.spool
        assert isinstance(spool, SqliteSpool)
        old = Path(self._folder.name, str(self._lives))
        spool.abandon()
        # The disk as it is now, with a log that nobody has copied into the file.
        self._lives += 1
        new = Path(self._folder.name, str(self._lives))
        shutil.copytree(old, new)
        spool.close()
        self._open(new)
        self._take_stock()

    def _take_stock(self) -> None:
        found: list[UUID] = []
        while (taken := self.spool.take(live=False)) is not None:
            found.append(taken.id)
        self.spool.requeue_all()
        must = [each for each in self.stored if each not in self.loose]
        may = {*must, *self.loose, *self.loose_acknowledged, *self.loose_quarantined}
        assert set(must) <= set(found) <= may
        assert found == [each for each in self.order if each in set(found)]
        kept = [each for each in self.loose if each in found]
        assert kept == self.loose[: len(kept)]
        self._begin_with(found)
        stats = self.spool.stats()
        assert stats.accepted_count == stats.acknowledged_count + stats.quarantined_count + len(found)
        assert stats.accepted_count <= self.accepted
        self.accepted, self.acknowledged = stats.accepted_count, stats.acknowledged_count
        self.quarantined = stats.quarantined_count
        # Refusals become durable with the next commit.
        assert stats.refused_count <= self.refused
        self.refused = stats.refused_count
        # The note of a message is as durable as the message.
        note = self.spool.state_entries().get("last", b"")
        if kept:
            assert note == kept[-1].bytes
        elif not self.loose:
            assert note == self.note
        self.note = self.loose_note = note

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.spool.close()
            self._folder.cleanup()


TestMemorySpool = MemorySpoolMachine.TestCase
TestSqliteSpool = SqliteSpoolMachine.TestCase
TestSqliteSpool.settings = settings(max_examples=60, stateful_step_count=40)
