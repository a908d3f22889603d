"""Whatever happens to a message while a transaction is dropping it is counted once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from uuid_utils.compat import uuid7

from edge_agent.spool import Message, SpoolLimits, SqliteSpool
from edge_agent.spool.file import Change, SpoolFile, Written
from edge_agent.spool.rows import Counters
from tests.mqtt import PATIENCE_S

ROOM = 3
PAYLOAD = b"0123456789"
LIMITS = SpoolLimits(max_bytes=ROOM * len(PAYLOAD), max_age_s=3600, when_full="drop_oldest", commit_delay_s=0)


def append(spool: SqliteSpool, count: int = 1) -> list[UUID]:
    ids = []
    for _ in range(count):
        message = Message(uuid7(), "leukoscope/v1/site/device/event", PAYLOAD)
        spool.append(message)
        ids.append(message.id)
    assert spool.flush(PATIENCE_S)
    return ids


def take_all(spool: SqliteSpool) -> list[UUID]:
    spool.requeue_all()
    taken = []
    while (message := spool.take(live=False)) is not None:
        taken.append(message.id)
    return taken


def during_the_next_write(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Call ``act`` in the writing thread, after it has chosen what to drop and before the drop is durable."""
    write = SpoolFile.write

    def interrupted(file: SpoolFile, change: Change, counters: Counters) -> Written:
        monkeypatch.setattr(SpoolFile, "write", write)
        act()
        return write(file, change, counters)

    monkeypatch.setattr(SpoolFile, "write", interrupted)


@pytest.mark.parametrize("how", ["acknowledged", "quarantined", "taken", "requeued"])
def test_a_message_that_is_overtaken_by_its_drop_is_subtracted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    spool = SqliteSpool(tmp_path, LIMITS)
    ids = append(spool, ROOM)

    def act() -> None:
        message = spool.take(live=True)
        assert message is not None
        assert message.id == ids[0]
        match how:
            case "acknowledged":
                spool.acknowledge(message.id)
            case "quarantined":
                spool.quarantine(message.id, "broker_refused", "?")
            case "requeued":
                spool.requeue_all()

    during_the_next_write(monkeypatch, act)
    ids += append(spool)
    assert spool.flush(PATIENCE_S)
    stats = spool.stats()
    assert (stats.waiting_count, stats.in_flight_count, stats.stored_bytes) == (ROOM, 0, ROOM * len(PAYLOAD))
    delivered = how == "acknowledged"
    assert (stats.accepted_count, stats.acknowledged_count, stats.dropped_count, stats.quarantined_count) == (
        ROOM + 1,
        int(delivered),
        int(not delivered),
        0,
    )
    # The newest as well, without another append.
    assert take_all(spool) == ids[1:]
    spool.close()
    again = SqliteSpool(tmp_path, LIMITS)
    assert (again.stats().acknowledged_count, again.stats().dropped_count) == (int(delivered), int(not delivered))
    assert take_all(again) == ids[1:]
    again.close()


def test_the_last_message_is_delivered_after_all_others_were_overtaken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = SqliteSpool(tmp_path, LIMITS)
    append(spool, ROOM)

    def deliver_all() -> None:
        while (message := spool.take(live=True)) is not None:
            spool.acknowledge(message.id)

    during_the_next_write(monkeypatch, deliver_all)
    (last,) = append(spool)
    message = spool.take(live=True)
    assert message is not None
    assert message.id == last
    spool.close()


class OvertakingMachine(RuleBasedStateMachine):
    """Anything may happen while a transaction is under way: every message ends up in exactly one place."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._patch = pytest.MonkeyPatch()
        self.spool = SqliteSpool(Path(self._folder.name), LIMITS)
        self.accepted: list[UUID] = []
        self.in_flight: list[UUID] = []
        self.delivered: set[UUID] = set()

    def act(self, action: str) -> None:
        match action:
            case "take live" | "take backlog":
                message = self.spool.take(live=action == "take live")
                if message is not None:
                    assert message.id not in self.in_flight
                    assert message.id not in self.delivered
                    self.in_flight.append(message.id)
            case "acknowledge" if self.in_flight:
                known = self.in_flight.pop(0)
                before = self.spool.stats().acknowledged_count
                self.spool.acknowledge(known)
                if self.spool.stats().acknowledged_count > before:
                    self.delivered.add(known)
            case "quarantine" if self.in_flight:
                self.spool.quarantine(self.in_flight.pop(0), "broker_refused", "?")
            case "requeue":
                self.spool.requeue_all()
                self.in_flight.clear()

    ACTIONS = st.lists(
        st.sampled_from(["take live", "take backlog", "acknowledge", "quarantine", "requeue"]), max_size=6
    )

    @rule(actions=ACTIONS)
    def go_on(self, actions: list[str]) -> None:
        for action in actions:
            self.act(action)

    @rule(count=st.integers(1, ROOM), actions=ACTIONS)
    def append(self, count: int, actions: list[str]) -> None:
        failures: list[BaseException] = []

        def interrupt() -> None:
            try:
                self.go_on_inside(actions)
            except BaseException as failure:  # noqa: BLE001 - raised below, in the test's own thread
                failures.append(failure)

        during_the_next_write(self._patch, interrupt)
        self.accepted += append(self.spool, count)
        self._patch.undo()
        assert not failures, failures

    def go_on_inside(self, actions: list[str]) -> None:
        for action in actions:
            self.act(action)

    @rule()
    def restart(self) -> None:
        self.spool.close()
        self.spool = SqliteSpool(Path(self._folder.name), LIMITS)
        self.in_flight.clear()

    @invariant()
    def counts_add_up(self) -> None:
        assert self.spool.flush(PATIENCE_S)
        stats = self.spool.stats()
        gone = stats.acknowledged_count + stats.dropped_count + stats.quarantined_count
        assert stats.accepted_count == len(self.accepted)
        assert stats.accepted_count == gone + stats.waiting_count + stats.in_flight_count
        assert stats.acknowledged_count == len(self.delivered)
        assert stats.stored_bytes == (stats.waiting_count + stats.in_flight_count) * len(PAYLOAD)
        assert (stats.oldest_age_s is None) == (not stats.stored_bytes)

    def teardown(self) -> None:
        try:
            stored = self.spool.stats().waiting_count + self.spool.stats().in_flight_count
            left = take_all(self.spool)
            assert len(left) == stored
            assert left == [each for each in self.accepted if each in set(left)]
            assert not self.delivered & set(left)
        finally:
            self._patch.undo()
            self.spool.close()
            self._folder.cleanup()


TestOvertaking = OvertakingMachine.TestCase
TestOvertaking.settings = settings(max_examples=30, stateful_step_count=25)
