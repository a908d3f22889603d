"""A message that is damaged, or that the broker refuses, is kept and counted and never holds up the others."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from edge_agent.spool import MemorySpool, Message, QuarantinedMessage, Spool, SpoolLimits, SpoolStats, SqliteSpool
from edge_agent.spool.base import MAX_PAYLOAD_BYTES
from edge_agent.spool.place import FILE
from tests.mqtt import PATIENCE_S

TOPIC = "leukoscope/v1/site/device/report"
LIMITS = SpoolLimits(max_bytes=2**20, max_age_s=3600, commit_delay_s=0)


@pytest.fixture(params=["memory", "disk"])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Spool]:
    spool = MemorySpool(LIMITS.max_bytes) if request.param == "memory" else SqliteSpool(tmp_path, LIMITS)
    yield spool
    spool.close()


def append(spool: Spool, count: int, payload: bytes = b"{}") -> list[UUID]:
    ids = []
    for _ in range(count):
        message = Message(uuid7(), TOPIC, payload)
        spool.append(message)
        ids.append(message.id)
    assert spool.flush(PATIENCE_S)
    return ids


def take(spool: Spool, *, live: bool = True) -> UUID | None:
    message = spool.take(live=live)
    return None if message is None else message.id


def assert_counts_add_up(stats: SpoolStats) -> None:
    gone = stats.acknowledged_count + stats.dropped_count + stats.quarantined_count
    assert stats.accepted_count == gone + stats.waiting_count + stats.in_flight_count


def test_a_quarantined_message_is_never_sent_again_and_the_others_are(spool: Spool) -> None:
    ids = append(spool, 3)
    assert take(spool) == ids[0]
    spool.quarantine(ids[0], "broker_refused", "not authorized")
    spool.requeue_all()
    assert [take(spool, live=False) for _ in range(3)] == [ids[1], ids[2], None]
    stats = spool.stats()
    assert (stats.quarantined_count, stats.in_flight_count, stats.stored_bytes) == (1, 2, 4)
    assert_counts_add_up(stats)
    assert spool.pop_quarantined_messages() == [QuarantinedMessage(ids[0], TOPIC, "broker_refused", "not authorized")]
    assert spool.pop_quarantined_messages() == []


def test_only_a_message_in_flight_can_be_quarantined(spool: Spool) -> None:
    (waiting,) = append(spool, 1)
    for stranger in (waiting, uuid7()):
        spool.quarantine(stranger, "broker_refused", "?")
    assert spool.stats().quarantined_count == 0
    assert spool.pop_quarantined_messages() == []
    assert take(spool) == waiting


def test_the_quarantine_is_bounded_and_what_leaves_it_counts_as_dropped(spool: Spool) -> None:
    payload = b"x" * (MAX_PAYLOAD_BYTES - 1)
    append(spool, 5, payload)
    while (message := spool.take(live=True)) is not None:
        spool.quarantine(message.id, "broker_refused", "too large")
        assert spool.flush(PATIENCE_S)
        assert_counts_add_up(spool.stats())
    stats = spool.stats()
    # A tenth of the limit holds one of them.
    assert (stats.quarantined_count, stats.dropped_count, stats.stored_bytes) == (1, 4, 0)


def quarantined_rows(folder: Path) -> list[tuple[bytes, str, bytes, str, str]]:
    with closing(sqlite3.connect(folder / FILE)) as connection:
        return connection.execute("SELECT id, topic, payload, code, reason FROM quarantine ORDER BY number").fetchall()


def test_the_quarantine_outlasts_a_restart(tmp_path: Path) -> None:
    spool = SqliteSpool(tmp_path, LIMITS)
    ids = append(spool, 2)
    assert take(spool) == ids[0]
    spool.quarantine(ids[0], "broker_refused", "not authorized")
    spool.close()
    assert quarantined_rows(tmp_path) == [(ids[0].bytes, TOPIC, b"{}", "broker_refused", "not authorized")]
    again = SqliteSpool(tmp_path, LIMITS)
    assert again.stats().quarantined_count == 1
    assert_counts_add_up(again.stats())
    assert [take(again, live=False) for _ in range(2)] == [ids[1], None]
    again.close()


def test_a_file_without_a_quarantine_opens_and_one_with_it_keeps_its_version(tmp_path: Path) -> None:
    spool = SqliteSpool(tmp_path, LIMITS)
    (kept,) = append(spool, 1)
    spool.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        # An older agent opens this version only.
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        connection.executescript("DROP TABLE quarantine; DELETE FROM counters WHERE name = 'quarantined';")
    again = SqliteSpool(tmp_path, LIMITS)
    assert take(again, live=False) == kept
    again.quarantine(kept, "broker_refused", "?")
    assert again.flush(PATIENCE_S)
    assert len(quarantined_rows(tmp_path)) == 1
    again.close()


ROTTEN: dict[str, Callable[[], tuple[object, object, object, object]]] = {
    "id of 15 bytes": lambda: (b"x" * 15, TOPIC, b"{}", 0.0),
    "id is text": lambda: ("0123456789abcdef", TOPIC, b"{}", 0.0),
    "topic is a blob": lambda: (uuid7().bytes, b"topic", b"{}", 0.0),
    "topic is empty": lambda: (uuid7().bytes, "", b"{}", 0.0),
    "topic has a wildcard": lambda: (uuid7().bytes, "leukoscope/#", b"{}", 0.0),
    "topic has a NUL": lambda: (uuid7().bytes, "leuko\0scope", b"{}", 0.0),
    "payload is text": lambda: (uuid7().bytes, TOPIC, "{}", 0.0),
    "payload is a number": lambda: (uuid7().bytes, TOPIC, 17, 0.0),
    "payload is too large": lambda: (uuid7().bytes, TOPIC, b"x" * (MAX_PAYLOAD_BYTES + 1), 0.0),
    "time is text": lambda: (uuid7().bytes, TOPIC, b"{}", "yesterday"),
    "time is infinite": lambda: (uuid7().bytes, TOPIC, b"{}", float("inf")),
}


@pytest.mark.parametrize("rotten", ROTTEN)
def test_a_row_that_is_no_message_is_quarantined_and_the_others_are_delivered(tmp_path: Path, rotten: str) -> None:
    spool = SqliteSpool(tmp_path, LIMITS)
    ids = append(spool, 3)
    spool.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute(
            "UPDATE messages SET (id, topic, payload, accepted_s) = (?, ?, ?, ?) WHERE number = 1", ROTTEN[rotten]()
        )
    again = SqliteSpool(tmp_path, LIMITS)
    assert again.stats().oldest_age_s is not None
    assert [take(again, live=False) for _ in range(3)] == [ids[1], ids[2], None]
    assert again.flush(PATIENCE_S)
    stats = again.stats()
    assert (stats.quarantined_count, stats.dropped_count, stats.in_flight_count) == (1, 0, 2)
    assert_counts_add_up(stats)
    assert [each.code for each in again.pop_quarantined_messages()] == ["message_damaged"]
    assert len(quarantined_rows(tmp_path)) == 1
    again.close()


VALUE = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.binary(max_size=40) | st.text(max_size=40)


@settings(max_examples=60)
@given(rotten=st.lists(st.tuples(VALUE, VALUE, VALUE, VALUE), min_size=1, max_size=4))
def test_whatever_the_rows_hold_all_messages_are_delivered_and_all_rows_counted(
    tmp_path_factory: pytest.TempPathFactory, rotten: list[tuple[object, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("rotten")
    spool = SqliteSpool(folder, LIMITS)
    ids = append(spool, 2)
    spool.close()
    with closing(sqlite3.connect(folder / FILE)) as connection, connection:
        for row in rotten:
            connection.execute("INSERT INTO messages (id, topic, payload, accepted_s) VALUES (?, ?, ?, ?)", row)
    again = SqliteSpool(folder, LIMITS)
    taken = []
    while (message := again.take(live=False)) is not None:
        taken.append(message.id)
    assert taken[:2] == ids
    assert again.flush(PATIENCE_S)
    stats = again.stats()
    assert stats.accepted_count == len(ids) + len(rotten)
    assert stats.in_flight_count == len(taken)
    assert stats.quarantined_count + stats.dropped_count == stats.accepted_count - len(taken)
    assert_counts_add_up(stats)
    again.close()


def test_text_that_is_not_utf_8_is_quarantined(tmp_path: Path) -> None:
    spool = SqliteSpool(tmp_path, LIMITS)
    ids = append(spool, 2)
    spool.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE messages SET topic = CAST(x'6c65ff80' AS TEXT) WHERE number = 1")
    again = SqliteSpool(tmp_path, LIMITS)
    assert take(again, live=False) == ids[1]
    (found,) = again.pop_quarantined_messages()
    assert found.topic.encode()
    again.close()


def test_two_rows_with_one_id_are_one_message(tmp_path: Path) -> None:
    spool = SqliteSpool(tmp_path, LIMITS)
    ids = append(spool, 3)
    spool.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE messages SET id = ? WHERE number = 2", (ids[0].bytes,))
    again = SqliteSpool(tmp_path, LIMITS)
    assert [take(again, live=False) for _ in range(3)] == [ids[0], ids[2], None]
    again.acknowledge(ids[0])
    again.acknowledge(ids[2])
    assert again.flush(PATIENCE_S)
    stats = again.stats()
    assert (stats.waiting_count, stats.in_flight_count, stats.stored_bytes, stats.quarantined_count) == (0, 0, 0, 1)
    again.close()
