"""A damaged spool file is set aside, its readable messages are taken over, and the agent goes on."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from edge_agent.errors import SpoolBusy
from edge_agent.spool import Message, SpoolLimits, SqliteSpool, purge
from edge_agent.spool.file import Change, SpoolFile, Written
from edge_agent.spool.place import FILE
from edge_agent.spool.rows import Counters
from tests.mqtt import PATIENCE_S

LIMITS = SpoolLimits(max_bytes=2**30, max_age_s=3600, commit_delay_s=0)


def filled(folder: Path, count: int = 50) -> list[UUID]:
    """A spool with ``count`` messages in its file and none in its log."""
    spool = SqliteSpool(folder, LIMITS)
    ids = []
    for _ in range(count):
        message = Message(uuid7(), "leukoscope/v1/site/device/result/camera", b'{"replayed":false}' + b" " * 2000)
        spool.append(message)
        ids.append(message.id)
    spool.close()
    return ids


def fail_once(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Let SQLite report this error with the next transaction."""
    write = SpoolFile.write

    def fail(_file: SpoolFile, _change: Change, _counters: Counters) -> Written:
        monkeypatch.setattr(SpoolFile, "write", write)
        error = sqlite3.DatabaseError("as the test wants it")
        error.sqlite_errorcode = code
        raise error

    monkeypatch.setattr(SpoolFile, "write", fail)


def take_all(spool: SqliteSpool) -> list[UUID]:
    taken = []
    while (message := spool.take(live=False)) is not None:
        taken.append(message.id)
    return taken


def test_a_file_that_is_none_is_set_aside(tmp_path: Path) -> None:
    tmp_path.joinpath(FILE).write_bytes(b"not a database at all" * 1000)
    spool = SqliteSpool(tmp_path, LIMITS)
    (found,) = spool.pop_quarantined_files()
    assert found.path is not None
    assert found.path.read_bytes().startswith(b"not a database")
    assert found.salvaged_count == 0
    spool.append(Message(uuid7(), "leukoscope/v1/site/device/event", b"{}"))
    assert spool.flush(PATIENCE_S)
    spool.close()


def test_what_can_still_be_read_is_taken_over(tmp_path: Path) -> None:
    ids = filled(tmp_path)
    path = tmp_path / FILE
    content = bytearray(path.read_bytes())
    # One page in the middle.
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    spool = SqliteSpool(tmp_path, LIMITS)
    (found,) = spool.pop_quarantined_files()
    kept = take_all(spool)
    assert found.salvaged_count == len(kept) >= len(ids) - 3
    assert kept == [each for each in ids if each in set(kept)]
    stats = spool.stats()
    assert stats.accepted_count == stats.acknowledged_count + stats.dropped_count + len(kept)
    spool.close()


@settings(max_examples=60)
@given(data=st.data())
def test_no_damage_stops_the_spool(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("damage")
    ids = filled(folder, 12)
    path = folder / FILE
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content) - 1))
        rubbish = data.draw(st.binary(min_size=1, max_size=5000))
        content[start : start + len(rubbish)] = rubbish
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    spool = SqliteSpool(folder, LIMITS)
    kept = take_all(spool)
    # Flipped bits within an id or a payload cannot be detected; nothing appears twice.
    assert len(kept) == len(set(kept)) <= len(ids)
    new = Message(uuid7(), "leukoscope/v1/site/device/event", b"{}")
    spool.append(new)
    assert spool.flush(PATIENCE_S)
    taken = spool.take(live=True)
    assert taken is not None
    assert taken.id == new.id
    spool.close()


def test_damage_found_while_running_costs_nothing_that_can_still_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = filled(tmp_path, 20)
    spool = SqliteSpool(tmp_path, LIMITS)
    first = spool.take(live=False)
    assert first is not None
    spool.acknowledge(first.id)
    fail_once(monkeypatch, sqlite3.SQLITE_CORRUPT)
    new = Message(uuid7(), "leukoscope/v1/site/device/event", b"{}")
    spool.append(new, {"note": b"kept"})
    assert spool.flush(PATIENCE_S)
    (found,) = spool.pop_quarantined_files()
    assert found.salvaged_count == 19
    assert take_all(spool) == ids[1:]
    taken = spool.take(live=True)
    assert taken is not None
    assert taken.id == new.id
    assert spool.state_entries() == {"note": b"kept"}
    stats = spool.stats()
    assert (stats.accepted_count, stats.acknowledged_count, stats.dropped_count) == (21, 1, 0)
    spool.close()


def test_two_agents_cannot_have_the_same_spool(tmp_path: Path) -> None:
    spool = SqliteSpool(tmp_path, LIMITS)
    with pytest.raises(SpoolBusy):
        SqliteSpool(tmp_path, LIMITS)
    with pytest.raises(SpoolBusy):
        purge(tmp_path)
    # Not even by another process.
    code = f"from tests.unit.spool.test_damage import *; SqliteSpool(Path({str(tmp_path)!r}), LIMITS)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "SpoolBusy" in done.stderr
    spool.close()
    SqliteSpool(tmp_path, LIMITS).close()


def test_purged_messages_count_as_dropped(tmp_path: Path) -> None:
    ids = filled(tmp_path, 7)
    assert purge(tmp_path) == len(ids)
    spool = SqliteSpool(tmp_path, LIMITS)
    stats = spool.stats()
    assert (stats.accepted_count, stats.dropped_count, stats.waiting_count) == (7, 7, 0)
    spool.close()
