"""Frames are kept beside the analysis, which never waits."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue

import pytest

from edge_agent.cameras.frame import Encoded
from edge_agent.collection.keeper import MAX_WAITING, FrameKeeper
from edge_agent.collection.kept_frame import KeptFrame
from edge_agent.collection.settings import Keep
from edge_agent.collection.store import FrameStore, StoreLimits
from edge_agent.contracts import EventKind
from edge_agent.errors import CollectionBusy, CollectionError, DiskFull, ImageError
from tests.kept import Readings, Recorded


class Disk(FrameStore):
    """A disk that hangs, is full, or works, as a test says."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, StoreLimits(2**30, timedelta(days=1), 1000))
        self.problem: Exception | None = None
        self.answers = threading.Event()
        self.answers.set()
        self.asked: SimpleQueue[None] = SimpleQueue()

    def add(self, record: KeptFrame, picture: bytes) -> None:
        self.asked.put(None)
        self.answers.wait()
        if self.problem is not None:
            raise self.problem
        super().add(record, picture)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "collection")


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def make_keeper(disk: Disk, recorded: Recorded, **parts: object) -> FrameKeeper:
    settings: dict[str, object] = {
        "keep": Keep.ALL,
        "synthetic": lambda: False,
        "max_pixels": 10**7,
        "prepare": disk.open,
    }
    return FrameKeeper(disk, on_event=recorded, **{**settings, **parts})  # type: ignore[arg-type]  # any part


def offer(keeper: FrameKeeper, readings: Readings, image: Encoded | None = None) -> Exception | None:
    result, reading = readings.make(image)
    found = keeper.offer(result, reading.frame).exception(60)
    assert found is None or isinstance(found, Exception)
    return found


def test_a_disk_that_hangs_costs_frames_and_never_time(disk: Disk, recorded: Recorded) -> None:
    keeper, readings = make_keeper(disk, recorded), Readings()
    disk.answers.clear()
    keeper.start()
    made = [readings.make() for _ in range(MAX_WAITING + 6)]
    first = keeper.offer(made[0][0], made[0][1].frame)
    disk.asked.get(timeout=60)
    # All of these return while the disk does not answer.
    futures = [keeper.offer(result, reading.frame) for result, reading in made[1:]]
    assert [future.done() for future in futures] == [False] * MAX_WAITING + [True] * 5
    assert all(isinstance(future.exception(0), CollectionBusy) for future in futures[MAX_WAITING:])
    disk.answers.set()
    keeper.stop()
    assert first.exception(0) is None
    assert (keeper.kept_count, keeper.dropped_count) == (1 + MAX_WAITING, 5)
    assert [each.id for each in disk.frames()] == [result.id for result, _ in made[: 1 + MAX_WAITING]]


def test_a_frame_that_is_offered_after_the_end_is_refused_at_once(disk: Disk, recorded: Recorded) -> None:
    keeper, (result, reading) = make_keeper(disk, recorded), Readings().make()
    keeper.start()
    keeper.stop()
    refused = keeper.offer(result, reading.frame)
    assert isinstance(refused.exception(0), CollectionBusy), "nobody would ever answer, and a stop waits for who asks"
    keeper.start()
    assert keeper.offer(result, reading.frame).exception(60) is None
    keeper.stop()


def test_a_full_disk_is_one_event_and_so_is_its_end(disk: Disk, recorded: Recorded) -> None:
    keeper, readings = make_keeper(disk, recorded), Readings()
    keeper.start()
    disk.problem = DiskFull("no space.")
    assert [type(offer(keeper, readings)) for _ in range(3)] == [DiskFull] * 3
    problems = [keeper.error]
    disk.problem = None
    assert [offer(keeper, readings) for _ in range(2)] == [None, None]
    keeper.stop()
    assert recorded.events == [(EventKind.COLLECTION_FAILED, "disk_full"), (EventKind.COLLECTION_RECOVERED, None)]
    problems.append(keeper.error)
    assert [None if each is None else each.code for each in problems] == ["disk_full", None]
    assert (keeper.kept_count, keeper.failed_count) == (2, 3)


def test_whatever_goes_wrong_the_next_frame_is_kept(disk: Disk, recorded: Recorded) -> None:
    keeper, readings = make_keeper(disk, recorded), Readings()
    keeper.start()
    disk.problem = MemoryError()
    assert isinstance(offer(keeper, readings), CollectionError)
    disk.problem = None
    assert offer(keeper, readings) is None
    keeper.stop()


def test_a_frame_that_cannot_be_read_is_no_trouble_of_the_disk(disk: Disk, recorded: Recorded) -> None:
    keeper, readings = make_keeper(disk, recorded), Readings()
    keeper.start()
    assert isinstance(offer(keeper, readings, Encoded(b"text")), ImageError)
    keeper.stop()
    assert (keeper.error, recorded.events, keeper.failed_count) == (None, [], 1)


def test_a_folder_that_cannot_be_opened_at_first_is_tried_again(disk: Disk, recorded: Recorded) -> None:
    disk.folder.touch()
    keeper, readings = make_keeper(disk, recorded), Readings()
    keeper.start()
    assert isinstance(offer(keeper, readings), CollectionError)
    disk.folder.unlink()
    assert offer(keeper, readings) is None
    keeper.stop()
    assert [code for _, code in recorded.events] == ["collection_failed", None]


def test_old_frames_are_looked_for_while_nothing_is_kept(disk: Disk, recorded: Recorded) -> None:
    tidied = threading.Event()
    disk.remove_old = tidied.set  # type: ignore[method-assign]  # a spy
    keeper = make_keeper(disk, recorded, tidy_s=0.001)
    keeper.start()
    assert tidied.wait(60)
    keeper.stop()
