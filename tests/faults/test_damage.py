"""An agent whose spool is damaged continues, and reports the damage."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from uuid_utils.compat import uuid7

from edge_agent.contracts import EventKind
from edge_agent.spool import Message, SqliteSpool
from edge_agent.spool.place import FILE
from tests.agents import configuration, running
from tests.mqtt import Subscriber
from tests.unit.spool.test_damage import LIMITS, filled


def test_an_agent_reports_damage_and_goes_on(tmp_path: Path, broker_port: int, subscriber: Subscriber) -> None:
    folder = tmp_path / "state"
    filled(folder)
    path = folder / FILE
    path.write_bytes(path.read_bytes()[:20000])
    with running(configuration(broker_port, state={"folder": str(folder)})):
        told = iter(lambda: subscriber.next("event").body(), None)
        event = next(each for each in told if each.kind == EventKind.SPOOL_SET_ASIDE)
        assert event.code == "spool_corrupt"
        subscriber.next("result")
    assert list(folder.glob("spool.corrupt-*.db"))


def test_an_agent_reports_a_message_that_cannot_be_read_and_delivers_the_others(
    tmp_path: Path, broker_port: int, subscriber: Subscriber
) -> None:
    folder = tmp_path / "state"
    spool = SqliteSpool(folder, LIMITS)
    for _ in range(3):
        spool.append(Message(uuid7(), "of/another/device", b'{"replayed":false}'))
    spool.close()
    with closing(sqlite3.connect(folder / FILE)) as connection, connection:
        connection.execute("UPDATE messages SET id = x'00' WHERE number = 2")
    with running(configuration(broker_port, state={"folder": str(folder)})) as agent:
        told = iter(lambda: subscriber.next("event").body(), None)
        event = next(each for each in told if each.kind == EventKind.MESSAGE_QUARANTINED)
        assert event.code == "message_damaged"
        assert (event.details["count"], event.details["topic"]) == (1, "of/another/device")
        subscriber.next("result")
        stats = agent.spool.stats()
        assert (stats.quarantined_count, stats.dropped_count) == (1, 0)


def test_an_agent_whose_state_folder_is_deleted_goes_on_and_reports_it(
    tmp_path: Path, broker_port: int, subscriber: Subscriber
) -> None:
    folder = tmp_path / "state"
    with running(configuration(broker_port, state={"folder": str(folder)})):
        subscriber.next("result")
        # Immediately, because the agent writes meanwhile.
        folder.rename(tmp_path / "trash")
        told = iter(lambda: subscriber.next("event").body(), None)
        event = next(each for each in told if each.kind == EventKind.SPOOL_SET_ASIDE)
        assert (event.code, event.details["file"]) == ("spool_missing", None)
        subscriber.next("result")
    assert folder.joinpath(FILE).exists()
