"""Each lost message is reported once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from uuid_utils.compat import uuid7

from edge_agent.contracts import Event, EventKind, Topics
from edge_agent.errors import SpoolFull
from edge_agent.events.recorder import EventRecorder
from edge_agent.monitoring.spool_events import DROPS_INTERVAL_S, SpoolEvents
from edge_agent.spool import MemorySpool, Message

TOPICS = Topics("clinic", "scope-1")


@pytest.fixture
def spool() -> MemorySpool:
    return MemorySpool(10)


@pytest.fixture
def events(tmp_path: Path, spool: MemorySpool) -> Iterator[EventRecorder]:
    found = EventRecorder(tmp_path, spool, TOPICS, uuid7())
    yield found
    found.close()


def refuse(spool: MemorySpool, count: int) -> None:
    for _ in range(count):
        with pytest.raises(SpoolFull):
            spool.append(Message(uuid7(), TOPICS.event, b"x" * 11))


def waiting(spool: MemorySpool) -> list[Event]:
    found = []
    while (message := spool.take(live=True)) is not None:
        found.append(Event.model_validate_json(message.payload))
    return found


def reported(spool: MemorySpool) -> list[object]:
    """The refusals that waiting events report."""
    return [event.details["refused_count"] for event in waiting(spool) if event.kind == EventKind.MESSAGES_DROPPED]


def test_drops_are_reported_at_once_and_then_not_more_often_than_the_interval(
    spool: MemorySpool, events: EventRecorder
) -> None:
    found = SpoolEvents(spool, events)
    found.record(0.0)
    assert reported(spool) == []
    refuse(spool, 2)
    found.record(1.0)
    assert reported(spool) == [2]
    refuse(spool, 3)
    found.record(DROPS_INTERVAL_S)
    assert reported(spool) == []
    found.record(DROPS_INTERVAL_S + 1)
    assert reported(spool) == [3]


def test_what_was_held_back_is_reported_at_the_end_or_by_the_next_session(
    spool: MemorySpool, events: EventRecorder
) -> None:
    first = SpoolEvents(spool, events)
    refuse(spool, 2)
    first.record(0.0)
    refuse(spool, 1)
    first.record(1.0)
    assert reported(spool) == [2]
    second = SpoolEvents(spool, events)
    second.record(2.0)
    assert reported(spool) == [1]
    refuse(spool, 4)
    second.record(3.0)
    second.record(4.0, last=True)
    assert reported(spool) == [4]


@pytest.mark.parametrize(
    "entry", [b"", b"2", b"1 2 3", b"two three", b"\xff\xfe", b"-1 0", b'{"refused":1}', b"1.5 2", b"\0" * 4096]
)
def test_a_note_of_what_was_reported_that_cannot_be_read_ends_nothing(
    spool: MemorySpool, events: EventRecorder, entry: bytes
) -> None:
    spool.write_state_entries({"told_drops": entry})
    refuse(spool, 2)
    found = SpoolEvents(spool, events)
    found.record(0.0)
    kinds = [event.kind for event in waiting(spool)]
    assert kinds == [EventKind.STATE_IGNORED, EventKind.MESSAGES_DROPPED]
    found.record(1000.0)
    assert waiting(spool) == []


def test_a_new_spool_counts_from_zero(spool: MemorySpool, events: EventRecorder) -> None:
    """The note came over from a spool that was damaged, its counts did not."""
    spool.write_state_entries({"told_drops": b"500 7"})
    found = SpoolEvents(spool, events)
    found.record(0.0)
    refuse(spool, 3)
    found.record(1.0)
    assert reported(spool) == [3]
