"""A folder or file that is deleted under a running spool is noticed at once, and nothing in it is lost."""

from __future__ import annotations

import queue
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from edge_agent.errors import SpoolBusy, SpoolError
from edge_agent.spool import Message, SpoolLimits, SqliteSpool
from edge_agent.spool.file import Change, SpoolFile, Written
from edge_agent.spool.place import FILE, explain_unwritable, has_no_room
from edge_agent.spool.rows import Counters
from tests.faults.disks import fill_up
from tests.mqtt import PATIENCE_S
from tests.unit.spool.test_opening import without_privileges

LIMITS = SpoolLimits(max_bytes=2**20, max_age_s=3600, commit_delay_s=0)


class Watched:
    """A spool with a way to wait for its changes."""

    def __init__(self, folder: Path) -> None:
        self._changes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.failures: list[BaseException] = []
        self.spool = SqliteSpool(
            folder, LIMITS, on_change=lambda: self._changes.put(None), on_failure=self.failures.append
        )

    def until(self, true: Callable[[], bool]) -> None:
        while not true():
            self._changes.get(timeout=PATIENCE_S)

    def append(self, count: int) -> list[UUID]:
        """Append ``count`` messages, and make them durable."""
        ids = []
        for _ in range(count):
            message = Message(uuid7(), "leukoscope/v1/site/device/result/camera", b"{}")
            self.spool.append(message, {"last": message.id.bytes})
            ids.append(message.id)
        assert self.spool.flush(PATIENCE_S)
        return ids

    def take(self, count: int = 1000, *, live: bool = True) -> list[UUID]:
        taken: list[UUID] = []
        while len(taken) < count and (message := self.spool.take(live=live)) is not None:
            taken.append(message.id)
        return taken


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def watched(folder: Path) -> Iterator[Watched]:
    watched = Watched(folder)
    yield watched
    watched.spool.close()
    assert not watched.failures


def delete_folder(folder: Path) -> None:
    # Immediately, because the spool may make it again meanwhile.
    shutil.rmtree(folder.rename(folder.with_name("trash")))


def delete_files(folder: Path) -> None:
    for each in folder.glob(f"{FILE}*"):
        each.unlink()


def replace_file(folder: Path) -> None:
    folder.joinpath("other").write_text("not a database at all")
    folder.joinpath("other").replace(folder / FILE)


def restore_backup(folder: Path) -> None:
    with closing(sqlite3.connect(folder / FILE)) as now, closing(sqlite3.connect(folder / "copy.db")) as copy:
        now.backup(copy)
    folder.joinpath("copy.db").replace(folder / FILE)


LOSSES: dict[str, Callable[[Path], object]] = {
    "folder deleted": delete_folder,
    "folder moved": lambda folder: folder.rename(folder.with_name("elsewhere")),
    "file deleted": lambda folder: folder.joinpath(FILE).unlink(),
    "file moved": lambda folder: folder.joinpath(FILE).rename(folder / "elsewhere.db"),
    "log deleted": lambda folder: folder.joinpath(f"{FILE}-wal").unlink(),
    "file and log deleted": delete_files,
    "file replaced": replace_file,
    "file restored from a backup": restore_backup,
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_was_accepted_before_and_after_is_delivered_once(folder: Path, watched: Watched, loss: str) -> None:
    before = watched.append(5)
    watched.spool.requeue_all()
    before += watched.append(33)
    sent = watched.take(2, live=False) + watched.take(3)
    watched.spool.acknowledge(sent[0])
    watched.spool.quarantine(sent[1], "broker_refused", "?")
    assert watched.spool.flush(PATIENCE_S)
    LOSSES[loss](folder)
    after = watched.append(33)
    (found,) = watched.spool.pop_quarantined_files()
    assert (found.code, found.salvaged_count) == ("spool_missing", len(before) - 2)
    assert watched.spool.error is None
    # Messages that were under way are not sent twice, and their acknowledgements count.
    assert watched.take(live=False) == before[2:5]
    assert watched.take() == [each for each in before[5:] if each not in sent] + after
    for each in sent[2:]:
        watched.spool.acknowledge(each)
    stats = watched.spool.stats()
    assert (stats.accepted_count, stats.acknowledged_count, stats.dropped_count) == (71, 4, 0)
    assert (stats.quarantined_count, stats.in_flight_count, stats.waiting_count) == (1, 66, 0)
    watched.spool.close()
    again = Watched(folder)
    left = [each for each in before + after if each not in sent]
    assert again.take(live=False) == left
    assert again.spool.state_entries() == {"last": after[-1].bytes}
    assert again.spool.stats().quarantined_count == 1
    again.spool.close()


@pytest.mark.parametrize("loss", LOSSES)
def test_it_is_noticed_while_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str) -> None:
    monkeypatch.setattr("edge_agent.spool.writer._PLACE_S", 0.01)
    watched = Watched(tmp_path / "state")
    ids = watched.append(3)
    LOSSES[loss](tmp_path / "state")
    watched.until(lambda: bool(watched.spool.pop_quarantined_files()))
    assert watched.take() == ids
    watched.spool.close()


def test_it_is_noticed_where_it_happens_during_a_write(
    folder: Path, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = watched.append(3)
    write = SpoolFile.write

    def interrupted(file: SpoolFile, change: Change, counters: Counters) -> Written:
        monkeypatch.setattr(SpoolFile, "write", write)
        delete_folder(folder)
        return write(file, change, counters)

    monkeypatch.setattr(SpoolFile, "write", interrupted)
    after = watched.append(3)
    assert watched.take() == before + after
    stats = watched.spool.stats()
    assert (stats.accepted_count, stats.in_flight_count, stats.dropped_count) == (6, 6, 0)
    watched.spool.close()
    assert Watched(folder).take(live=False) == before + after


@pytest.mark.parametrize("loss", LOSSES)
def test_it_is_noticed_at_the_end(folder: Path, loss: str) -> None:
    watched = Watched(folder)
    ids = watched.append(33)
    LOSSES[loss](folder)
    watched.spool.close()
    again = Watched(folder)
    assert again.take(live=False) == ids
    again.spool.close()


def test_a_lock_that_was_deleted_is_taken_again(folder: Path, watched: Watched) -> None:
    before = watched.append(1)
    folder.joinpath("spool.lock").unlink()
    after = watched.append(1)
    assert watched.spool.pop_quarantined_files() == []
    assert watched.take() == before + after
    with pytest.raises(SpoolBusy):
        SqliteSpool(folder, LIMITS)


def test_a_folder_that_cannot_be_made_again_is_told_and_tried_again(folder: Path, watched: Watched) -> None:
    before = watched.append(3)
    elsewhere = folder.with_name("elsewhere")
    folder.rename(elsewhere)
    folder.write_text("in the way")
    message = Message(uuid7(), "leukoscope/v1/site/device/event", b"{}")
    watched.spool.append(message)
    watched.until(lambda: watched.spool.error is not None)
    error = watched.spool.error
    assert error is not None
    assert error.code == "spool_missing"
    assert "not a folder" in error.message
    folder.unlink()
    watched.until(lambda: watched.spool.error is None)
    assert watched.spool.flush(PATIENCE_S)
    assert watched.take() == [*before, message.id]


def test_a_folder_that_is_gone_is_not_full(tmp_path: Path) -> None:
    assert not has_no_room(tmp_path / "nowhere")


def test_a_folder_that_lost_its_permission_is_no_full_disk() -> None:
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o777)
        folder = Path(place, "state")
        with without_privileges():
            watched = Watched(folder)
            ids = watched.append(1)
            folder.chmod(0)
            watched.spool.append(Message(uuid7(), "leukoscope/v1/site/device/event", b"{}"))
            watched.until(lambda: watched.spool.error is not None)
            error = watched.spool.error
            assert error is not None
            assert (error.code, "chown" in error.remedy) == ("spool_failed", True)
            folder.chmod(0o700)
            watched.until(lambda: watched.spool.error is None)
            assert watched.spool.flush(PATIENCE_S)
            assert watched.take()[0] == ids[0]
            watched.spool.close()


def test_a_disk_that_turned_read_only_is_no_full_disk(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        # Full like an image that has always been read-only, which has no free space.
        fill_up(tmp_path)
        assert has_no_room(tmp_path)
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)
        assert not has_no_room(tmp_path)
        error = explain_unwritable(tmp_path / FILE, "attempt to write a readonly database")
        assert (error.code, "read-only" in error.message) == ("spool_failed", True)
        with pytest.raises(SpoolError, match="read-only") as caught:
            SqliteSpool(tmp_path, LIMITS)
        assert caught.value.code == "spool_failed"
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
