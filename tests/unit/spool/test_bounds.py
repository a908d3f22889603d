"""The spool at its limits in bytes and age."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from edge_agent.errors import MessageTooLarge, SpoolFull
from edge_agent.spool import Message, SpoolLimits, SqliteSpool
from edge_agent.spool.base import MAX_PAYLOAD_BYTES
from edge_agent.spool.file import Change, SpoolFile, Written
from edge_agent.spool.ledger import Ledger
from edge_agent.spool.rows import Counters
from tests.mqtt import PATIENCE_S

PAYLOAD = b"x" * 100
LIMITS = SpoolLimits(max_bytes=500, max_age_s=3600, when_full="drop_oldest", commit_delay_s=0)


def append(spool: SqliteSpool, count: int, *, essential: bool = False) -> list[UUID]:
    messages = [Message(uuid7(), "leukoscope/v1/s/d/event", PAYLOAD, essential=essential) for _ in range(count)]
    for message in messages:
        spool.append(message)
    assert spool.flush(PATIENCE_S)
    return [message.id for message in messages]


def waiting(spool: SqliteSpool) -> list[UUID]:
    spool.requeue_all()
    found = []
    while (message := spool.take(live=False)) is not None:
        found.append(message.id)
    spool.requeue_all()
    return found


def test_the_oldest_go_where_that_is_the_rule_and_are_counted_for_good(tmp_path: Path) -> None:
    spool = SqliteSpool(tmp_path, LIMITS)
    ids = append(spool, 5) + append(spool, 3)
    assert waiting(spool) == ids[3:]
    assert spool.error is None
    assert spool.stats().dropped_count == 3
    spool.close()
    again = SqliteSpool(tmp_path, LIMITS)
    assert again.stats().dropped_count == 3
    assert waiting(again) == ids[3:]
    again.close()


def test_what_is_on_its_way_is_not_dropped(tmp_path: Path) -> None:
    spool = SqliteSpool(tmp_path, LIMITS)
    ids = append(spool, 5)
    first = spool.take(live=True)
    assert first is not None
    ids += append(spool, 2)
    assert waiting(spool) == [ids[0], *ids[3:]]
    spool.close()


def test_refusals_are_counted_for_good_and_essential_messages_have_a_reserve(tmp_path: Path) -> None:
    limits = replace(LIMITS, when_full="reject_new")
    spool = SqliteSpool(tmp_path, limits)
    append(spool, 5)
    assert isinstance(spool.error, SpoolFull)
    with pytest.raises(SpoolFull):
        append(spool, 1)
    append(spool, 1, essential=True)
    spool.close()
    again = SqliteSpool(tmp_path, limits)
    stats = again.stats()
    assert (stats.refused_count, stats.waiting_count, stats.dropped_count) == (1, 6, 0)
    again.close()


def test_the_too_old_go_by_the_time_that_the_spool_was_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = SqliteSpool(tmp_path, LIMITS)
    old = append(spool, 2)
    clock = Ledger.clock_s
    monkeypatch.setattr(Ledger, "clock_s", lambda ledger: clock(ledger) + 3599)
    young = append(spool, 1)
    assert waiting(spool) == old + young
    monkeypatch.setattr(Ledger, "clock_s", lambda ledger: clock(ledger) + 3601)
    young += append(spool, 1)
    assert waiting(spool) == young
    assert spool.stats().dropped_count == 2
    spool.close()


def test_a_message_that_is_too_large_is_refused() -> None:
    with pytest.raises(MessageTooLarge):
        Message(uuid7(), "leukoscope/v1/s/d/event", b"x" * (MAX_PAYLOAD_BYTES + 1))


def test_acknowledged_messages_are_gone_after_a_restart(tmp_path: Path) -> None:
    spool = SqliteSpool(tmp_path, LIMITS)
    ids = append(spool, 3)
    first = spool.take(live=True)
    assert first is not None
    spool.acknowledge(first.id)
    spool.close()
    again = SqliteSpool(tmp_path, LIMITS)
    assert waiting(again) == ids[1:]
    assert again.stats().acknowledged_count == 1
    again.close()


def test_a_commit_is_synced_to_the_medium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut leaves cannot be tried here; that SQLite was asked for a sync with each commit can be."""
    connections: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def watched(*args: object, **options: object) -> sqlite3.Connection:
        connections.append(connect(*args, **options))  # type: ignore[call-overload]  # as they came
        return connections[-1]

    monkeypatch.setattr(sqlite3, "connect", watched)
    spool = SqliteSpool(tmp_path, LIMITS)
    full = 2
    assert {each.execute("PRAGMA synchronous").fetchone() for each in connections} == {(full,)}
    assert {each.execute("PRAGMA journal_mode").fetchone() for each in connections} == {("wal",)}
    spool.close()


def test_a_note_is_never_durable_before_its_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one transaction does not take all that waits."""
    monkeypatch.setattr("edge_agent.spool.pending._BATCH_MAX_BYTES", 1)
    spool = SqliteSpool(tmp_path, replace(LIMITS, max_bytes=10_000, commit_delay_s=PATIENCE_S))
    changes: list[Change] = []
    write = SpoolFile.write

    def watched(file: SpoolFile, change: Change, counters: Counters) -> Written:
        changes.append(change)
        return write(file, change, counters)

    monkeypatch.setattr(SpoolFile, "write", watched)
    messages = [Message(uuid7(), "leukoscope/v1/s/d/event", PAYLOAD) for _ in range(5)]
    for message in messages:
        spool.append(message, {"last": message.id.bytes})
    assert spool.state_entries() == {"last": messages[-1].id.bytes}
    assert spool.flush(PATIENCE_S)
    assert [appended.id for change in changes for appended, _ in change.appended] == [each.id for each in messages]
    assert len(changes) == 5
    for change in changes:
        assert change.state_entries == {"last": change.appended[-1][0].id.bytes}
    assert spool.state_entries() == {"last": messages[-1].id.bytes}
    spool.close()
