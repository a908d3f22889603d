"""Events, and the recorder's reports on its audit log."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from uuid_utils.compat import uuid7

from edge_agent.contracts import Event, EventKind, Topics
from edge_agent.events.audit_verify import verify_audit
from edge_agent.events.recorder import EventRecorder
from edge_agent.spool import MemorySpool

TOPICS = Topics("clinic", "scope-1")


@contextmanager
def recorder(folder: Path, spool: MemorySpool | None = None) -> Iterator[EventRecorder]:
    found = EventRecorder(folder, spool or MemorySpool(2**24), TOPICS, uuid7())
    try:
        yield found
    finally:
        found.close()


def events(spool: MemorySpool) -> list[Event]:
    found = []
    while (message := spool.take(live=True)) is not None:
        found.append(Event.model_validate_json(message.payload))
    return found


def test_a_damaged_log_is_told_at_the_broker_and_in_the_health_until_the_file_is_moved_away(tmp_path: Path) -> None:
    (tmp_path / "audit.log").write_bytes(b"\xff\xfe damaged")
    spool = MemorySpool(2**20)
    with recorder(tmp_path, spool) as events_of:
        (event,) = events(spool)
        assert (event.kind, event.code) == (EventKind.AUDIT_SET_ASIDE, "audit_broken")
        aside = tmp_path / str(event.details["file"])
        assert aside.read_bytes() == b"\xff\xfe damaged"
        assert event.audit is not None
        assert events_of.error is not None
        assert events_of.error.code == "audit_broken"
        assert aside.name in events_of.error.message
    # A restart does not hide it.
    with recorder(tmp_path, spool) as events_of:
        assert events(spool) == []
        assert events_of.error is not None
        aside.unlink()
        assert events_of.error is None


def test_a_log_that_cannot_be_written_keeps_no_event_from_the_broker(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    spool = MemorySpool(2**20)
    with recorder(tmp_path / "state", spool) as events_of:
        assert events_of.error is not None
        assert events_of.error.code == "audit_unwritable"
        events_of.record(EventKind.STARTED, "Started.")
        assert [event.audit for event in events(spool)] == [None]
        # Once the log can be written, the next event clears the error.
        (tmp_path / "state").unlink()
        events_of.record(EventKind.STOPPED, "Stopped.")
        assert [event.audit is not None for event in events(spool)] == [True]
        assert events_of.error is None


def test_entries_that_are_deleted_to_make_room_are_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.events.recorder.SEGMENT_BYTES", 2000)
    monkeypatch.setattr("edge_agent.events.recorder.SEGMENTS_MAX", 2)
    spool = MemorySpool(2**24)
    with recorder(tmp_path, spool) as events_of:
        for _ in range(40):
            events_of.record(EventKind.PAUSED, "Paused.")
    trimmed = [event for event in events(spool) if event.kind == EventKind.AUDIT_TRIMMED]
    assert len(trimmed) > 2
    found = verify_audit(tmp_path / "audit.log")
    assert found.oldest is not None
    assert trimmed[-1].details["through_seq"] == found.oldest.seq - 1
    assert len(found.files) == 3


def test_a_file_that_cannot_be_deleted_is_told_once_for_each_full_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.events.recorder.SEGMENT_BYTES", 20_000)
    monkeypatch.setattr("edge_agent.events.recorder.SEGMENTS_MAX", 1)
    spool = MemorySpool(2**24)
    with recorder(tmp_path, spool) as events_of:
        events_of.record(EventKind.STARTED, "Started.")
        (tmp_path / "audit.0000000000.log").mkdir()
        (tmp_path / "audit.0000000001.log").mkdir()
        for _ in range(10):
            events_of.record(EventKind.PAUSED, "Paused.")
    kinds = [event.kind for event in events(spool)]
    assert kinds.count(EventKind.AUDIT_TRIMMED) == 1
    assert kinds.count(EventKind.PAUSED) == 10


def test_nothing_is_said_to_be_deleted_while_the_log_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.events.recorder.SEGMENTS_MAX", 1)
    old = [tmp_path / f"audit.000000000{number}.log" for number in range(2)]
    for path in old:
        path.write_bytes(b"")
    (tmp_path / "audit.log").mkdir()
    # Whatever is in its place is renamed, but not on a disk that refuses it.
    monkeypatch.setattr("edge_agent.events.audit_log.set_aside", _refuse)
    spool = MemorySpool(2**24)
    with recorder(tmp_path, spool) as events_of:
        for _ in range(3):
            events_of.record(EventKind.PAUSED, "Paused.")
    assert [event.kind for event in events(spool)] == [EventKind.PAUSED] * 3
    assert all(path.exists() for path in old)


def _refuse(*_: object) -> Path:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_an_event_stands_in_the_log_as_it_was_sent(tmp_path: Path) -> None:
    spool = MemorySpool(2**20)
    with recorder(tmp_path, spool) as events_of:
        events_of.record(EventKind.STARTED, "Started.", code="x_y", camera="a", readings_count=1)
    (event,) = events(spool)
    assert event.audit is not None
    digest, _, record = (tmp_path / "audit.log").read_text().strip().partition(" ")
    assert digest == event.audit.sha256
    values = json.loads(record)
    assert values["seq"] == event.audit.seq == 0
    sent = event.model_dump(mode="json")
    assert {key: values[key] for key in ("id", "kind", "code", "message", "details", "at")} == {
        key: sent[key] for key in ("id", "kind", "code", "message", "details", "at")
    }


def test_a_name_that_is_not_utf_8_can_be_told(tmp_path: Path) -> None:
    spool = MemorySpool(2**20)
    name = os.fsdecode(b"slide-\xff.png")
    with recorder(tmp_path, spool) as events_of:
        events_of.record(EventKind.STARTED, f"Started with {name}.", file=name)
    (event,) = events(spool)
    assert event.details["file"] == "slide-\\udcff.png"
    assert verify_audit(tmp_path / "audit.log").entries_count == 1


def test_many_threads_make_one_chain_which_can_be_checked_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.events.recorder.SEGMENT_BYTES", 4000)
    with recorder(tmp_path) as events_of, ThreadPoolExecutor(4) as pool:
        events_of.record(EventKind.STARTED, "Started.")
        tasks = [pool.submit(events_of.record, EventKind.PAUSED, "Paused.", number=number) for number in range(100)]
        checks_count = 0
        while not all(task.done() for task in tasks):
            verify_audit(tmp_path / "audit.log")
            checks_count += 1
        for task in tasks:
            task.result()
    found = verify_audit(tmp_path / "audit.log")
    assert found.last is not None
    assert found.last.seq >= 100
    assert len(found.files) > 5
    assert checks_count > 0
