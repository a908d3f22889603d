"""With a full disk, accepted messages stay, refused ones are counted, and the agent goes on."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from edge_agent.errors import AuditUnwritable, DiskFull
from edge_agent.events.audit_log import AuditLog
from edge_agent.events.audit_verify import verify_audit
from edge_agent.spool import Message, SpoolLimits, SqliteSpool
from tests.agents import configuration, running
from tests.faults.disks import fill_up, small_disk
from tests.mqtt import PATIENCE_S, Subscriber

LIMITS = SpoolLimits(max_bytes=2**30, max_age_s=3600, commit_delay_s=0)
PAYLOAD = b"x" * 2000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 4096) as folder:
        yield folder


class Watched:
    """A spool on a small disk, with a way to wait for its changes."""

    def __init__(self, folder: Path) -> None:
        self._changes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.spool = SqliteSpool(folder, LIMITS, on_change=lambda: self._changes.put(None))

    def until(self, *, full: bool) -> None:
        while isinstance(self.spool.error, DiskFull) != full:
            self._changes.get(timeout=PATIENCE_S)

    def append(self) -> UUID:
        message = Message(uuid7(), "leukoscope/v1/site/device/result/camera", PAYLOAD)
        self.spool.append(message)
        return message.id

    def next(self) -> UUID:
        """The next message, as soon as there is one on the disk."""
        while (message := self.spool.take(live=True)) is None:
            self._changes.get(timeout=PATIENCE_S)
        return message.id

    def take_all(self) -> list[UUID]:
        taken = []
        for live in (False, True):
            while (message := self.spool.take(live=live)) is not None:
                taken.append(message.id)
        return taken


def fill_with_messages(watched: Watched) -> list[UUID]:
    """Append until the spool refuses."""
    appended = []
    while True:
        try:
            appended.append(watched.append())
        except DiskFull:
            return appended
        if len(appended) % 100 == 0:
            # Do not outrun a disk that still has space.
            watched.spool.flush(0.05)


def test_a_disk_that_the_spool_filled_empties_as_messages_are_delivered(disk: Path) -> None:
    watched = Watched(disk)
    appended = fill_with_messages(watched)
    watched.until(full=True)
    delivered: list[UUID] = []
    # Delivered messages make room until everything that waits in memory is on the disk and delivered, too.
    while len(delivered) < len(appended):
        for each in watched.take_all() or [watched.next()]:
            watched.spool.acknowledge(each)
            delivered.append(each)
    assert delivered == appended
    watched.until(full=False)
    last = watched.append()
    assert watched.spool.flush(PATIENCE_S)
    assert watched.take_all() == [last]
    stats = watched.spool.stats()
    assert stats.refused_count == 1
    assert stats.dropped_count == 0
    watched.spool.close()


def test_what_was_accepted_on_a_full_disk_is_there_after_a_restart(disk: Path) -> None:
    watched = Watched(disk)
    appended = fill_with_messages(watched)
    accepted = watched.spool.stats().accepted_count
    watched.spool.close()
    again = Watched(disk)
    assert again.take_all() == appended[:accepted]
    again.spool.close()


def test_the_agent_starts_on_a_full_disk(disk: Path) -> None:
    watched = Watched(disk)
    before = watched.append()
    assert watched.spool.flush(PATIENCE_S)
    watched.spool.close()
    others = fill_up(disk)
    again = Watched(disk)
    assert again.take_all() == [before]
    after = again.append()
    again.until(full=True)
    others.unlink()
    again.until(full=False)
    assert again.next() == after
    again.spool.close()


def test_a_disk_that_others_filled_is_told_and_nothing_is_lost_when_there_is_room_again(
    tmp_path: Path, broker_port: int, subscriber: Subscriber
) -> None:
    with small_disk(tmp_path / "disk", 8192) as folder:
        config = configuration(
            broker_port, state={"folder": str(folder)}, trigger={"mode": "continuous", "interval_s": 0.05}
        )
        # Enough for the files, but not for the reserve, without which nothing is accepted.
        others = fill_up(folder, but_kib=600)
        with running(config) as agent:
            while subscriber.until_state("degraded").code != "disk_full":
                pass
            made = agent.counts.readings_count
            others.unlink()
            seen = [subscriber.next("result").body()]
            while seen[-1].seq < made + 10:
                seen.append(subscriber.next("result").body())
            assert agent.counts.refused_count == 0
        assert [each.seq for each in seen] == list(range(len(seen)))


def test_the_audit_log_goes_on_after_a_full_disk_without_half_a_line(disk: Path) -> None:
    log = AuditLog(disk / "audit.log")
    log.append({"first": 1})
    others = fill_up(disk)
    # The current page still has room for a line or two.
    for _ in range(5):
        with suppress(AuditUnwritable):
            log.append({"page": "x" * 1000})
    with pytest.raises(AuditUnwritable):
        log.append({"never": "x" * 1000})
    others.unlink()
    log.append({"last": 1})
    log.close()
    found = verify_audit(disk / "audit.log")
    assert found.last is not None
    assert found.last.seq == found.entries_count - 1
    assert (disk / "audit.log").read_bytes().endswith(b'"last":1}\n')
