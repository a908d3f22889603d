"""The memory spool against a model of it. Issue by issue other spools join the same machine."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from uuid_utils.compat import uuid7

from edge_agent.errors import SpoolFull
from edge_agent.messaging.spool import MemorySpool, Message

ROOM = 5


def message() -> Message:
    return Message(uuid7(), "leukoscope/v1/site/device/result/camera", b"{}")


class SpoolMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.spool = MemorySpool(ROOM)
        self.waiting: list[UUID] = []
        self.in_flight: list[UUID] = []
        self.accepted = self.acknowledged = self.refused = 0

    @rule()
    def append(self) -> None:
        new = message()
        if len(self.waiting) + len(self.in_flight) >= ROOM:
            with pytest.raises(SpoolFull):
                self.spool.append(new)
            self.refused += 1
        else:
            self.spool.append(new)
            self.waiting.append(new.id)
            self.accepted += 1

    @rule()
    def take(self) -> None:
        taken = self.spool.take()
        if not self.waiting:
            assert taken is None
            return
        assert taken is not None
        assert taken.id == self.waiting.pop(0)
        self.in_flight.append(taken.id)

    @rule(number=st.integers(0, ROOM))
    def acknowledge(self, number: int) -> None:
        if number < len(self.in_flight):
            self.spool.acknowledge(self.in_flight.pop(number))
            self.acknowledged += 1

    @rule()
    def acknowledge_a_stranger(self) -> None:
        self.spool.acknowledge(uuid7())

    @rule()
    def lose_the_connection(self) -> None:
        self.spool.give_back()
        self.waiting = sorted(self.in_flight + self.waiting)
        self.in_flight = []

    @rule(number=st.integers(0, ROOM))
    def acknowledge_late(self, number: int) -> None:
        """The old connection's acknowledgement arrives after all was given back."""
        if number < len(self.waiting):
            self.spool.acknowledge(self.waiting.pop(number))
            self.acknowledged += 1

    @invariant()
    def counts_reconcile(self) -> None:
        stats = self.spool.stats()
        assert stats.waiting_count == len(self.waiting)
        assert stats.in_flight_count == len(self.in_flight)
        assert stats.accepted_count == self.accepted
        assert stats.acknowledged_count == self.acknowledged
        assert stats.refused_count == self.refused
        assert stats.accepted_count == stats.acknowledged_count + stats.waiting_count + stats.in_flight_count


TestMemorySpool = SpoolMachine.TestCase
