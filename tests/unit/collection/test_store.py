"""The kept frames on the disk: bounded, complete or gone, and without a name."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.collection.store import MIN_FREE_BYTES, FrameStore, StoreLimits
from edge_agent.contracts import SpecimenField
from edge_agent.errors import CollectionError, CollectionFull, DiskFull, DiskLow, FrameNotKept
from tests.kept import Readings, make_record

WIDE = StoreLimits(max_bytes=2**30, max_age=timedelta(days=365), max_frames_count=1000)


def open_store(
    folder: Path, limits: StoreLimits = WIDE, labelled: set[UUID] | None = None, **parts: object
) -> FrameStore:
    labelled = labelled or set()
    store = FrameStore(folder, limits, labelled=lambda: labelled.__contains__, **parts)  # type: ignore[arg-type]  # any part
    store.open()
    return store


def add(store: FrameStore, readings: Readings, **record: object) -> UUID:
    kept, picture = make_record(readings, **record)  # type: ignore[arg-type]  # any part
    store.add(kept, picture)
    return kept.result.id


def ids(store: FrameStore) -> list[UUID]:
    return [each.id for each in store.frames()]


def test_a_frame_comes_back_as_it_was_also_after_a_restart(tmp_path: Path) -> None:
    record, picture = make_record(Readings(), label="pre-b", specimen=SpecimenField(id="S-7K3F", slide=2, field=3))
    open_store(tmp_path).add(record, picture)
    store = open_store(tmp_path)
    assert store.record(record.result.id).to_json() == record.to_json()
    assert store.picture(record.result.id) == picture
    (summary,) = store.frames()
    assert (summary.model_label, summary.result.specimen and summary.result.specimen.id) == ("pre-b", "S-7K3F")
    assert store.size_bytes == sum(each.stat().st_size for each in tmp_path.iterdir())


def test_files_have_opaque_names_and_only_their_owner_can_enter(tmp_path: Path) -> None:
    folder = tmp_path / "collection"
    frame = add(open_store(folder), Readings())
    assert sorted(each.name for each in folder.iterdir()) == [f"{frame}.jpg", f"{frame}.json"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert "doe" not in (folder / f"{frame}.json").read_text()


@given(st.lists(st.booleans(), max_size=12), st.integers(1, 6))
def test_the_oldest_unlabelled_frames_make_room(
    tmp_path_factory: pytest.TempPathFactory, is_labelled: list[bool], most: int
) -> None:
    labelled: set[UUID] = set()
    limits = StoreLimits(max_bytes=2**30, max_age=timedelta(days=365), max_frames_count=most)
    store = FrameStore(tmp_path_factory.mktemp("kept"), limits, labelled=lambda: labelled.__contains__)
    store.open()
    readings, expected, refused = Readings(), list[UUID](), 0
    for label_it in is_labelled:
        try:
            frame = add(store, readings)
        except CollectionFull:
            refused += 1
            assert len(expected) == most
            assert set(expected) <= labelled
            continue
        if len(expected) == most:
            expected.remove(next(each for each in expected if each not in labelled))
        expected.append(frame)
        if label_it:
            labelled.add(frame)
    assert ids(store) == expected
    assert store.removed_count == len(is_labelled) - refused - len(expected)
    assert len(list(store.folder.iterdir())) == 2 * len(expected)


def test_the_size_is_bounded(tmp_path: Path) -> None:
    readings = Readings()
    add(open_store(tmp_path), readings)
    one = open_store(tmp_path).size_bytes
    limits = StoreLimits(max_bytes=round(3.5 * one), max_age=timedelta(days=1), max_frames_count=1000)
    store = open_store(tmp_path, limits)
    frames = [add(store, readings) for _ in range(6)]
    assert ids(store) == frames[-3:]
    assert store.size_bytes <= limits.max_bytes


def test_a_frame_that_is_larger_than_all_there_may_be_deletes_nothing(tmp_path: Path) -> None:
    limits = StoreLimits(max_bytes=100, max_age=timedelta(days=1), max_frames_count=10)
    with pytest.raises(CollectionFull):
        add(open_store(tmp_path, limits), Readings())
    assert not list(tmp_path.iterdir())


def test_what_is_too_old_goes_labelled_or_not(tmp_path: Path) -> None:
    now, readings, labelled = datetime.now(UTC), Readings(), set[UUID]()
    store = open_store(tmp_path, labelled=labelled, now=lambda: now, clock_is_right=lambda: True)
    labelled.add(add(store, readings, kept_at=now - timedelta(days=366)))
    young = add(store, readings, kept_at=now - timedelta(days=364))
    store.remove_old()
    assert ids(store) == [young]
    assert store.removed_count == 1


def test_a_clock_that_is_not_set_deletes_nothing(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    store = open_store(tmp_path, now=lambda: now + timedelta(days=9999), clock_is_right=lambda: False)
    frame = add(store, Readings(), kept_at=now)
    store.remove_old()
    assert ids(store) == [frame]


def test_what_a_power_cut_left_is_removed(tmp_path: Path) -> None:
    readings = Readings()
    store = open_store(tmp_path)
    whole, no_record, cut, zeros, empty_record = (add(store, readings) for _ in range(5))
    (tmp_path / f"{no_record}.json").unlink()
    (tmp_path / f"{cut}.jpg").write_bytes(store.picture(cut)[:-1])
    (tmp_path / f"{zeros}.jpg").write_bytes(bytes(len(store.picture(zeros))))
    (tmp_path / f"{empty_record}.json").write_bytes(b"")
    (tmp_path / f".{whole}.jpg.new").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("not ours")
    again = open_store(tmp_path)
    assert ids(again) == [whole]
    assert again.incomplete_count == 4
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([f"{whole}.jpg", f"{whole}.json", "notes.txt"])


def test_a_labelled_frame_is_never_removed_as_incomplete(tmp_path: Path) -> None:
    frame = add(open_store(tmp_path), Readings())
    (tmp_path / f"{frame}.jpg").write_bytes(b"damaged")
    store = open_store(tmp_path, labelled={frame})
    assert (ids(store), store.unreadable_count) == ([], 1)
    assert (tmp_path / f"{frame}.json").exists()


def test_a_record_of_a_later_release_is_left_alone(tmp_path: Path) -> None:
    readings = Readings()
    store = open_store(tmp_path)
    newer, other = add(store, readings), add(store, readings)
    path = tmp_path / f"{newer}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": "leukoscope/kept-frame/v2", "more": 1}))
    (tmp_path / f"{other}.json").write_text('{"schema": "something/else"}')
    again = open_store(tmp_path)
    assert ids(again) == [newer]
    assert again.unreadable_count == 1
    assert len(list(tmp_path.iterdir())) == 4
    with pytest.raises(CollectionError, match="another release"):
        again.record(newer)


@pytest.mark.parametrize("number", ["ENOSPC", "EDQUOT", "EROFS", "EIO"])
def test_a_disk_that_takes_nothing_is_an_error_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    store = open_store(tmp_path)
    replace = Path.replace

    def fail_on_the_record(self: Path, target: Path) -> Path:
        if target.suffix == ".json":
            raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail_on_the_record)
    expected = DiskFull if number in {"ENOSPC", "EDQUOT"} else CollectionError
    with pytest.raises(expected):
        add(store, Readings())
    assert (ids(store), list(tmp_path.iterdir())) == ([], [])


def test_a_frame_is_whole_before_its_record_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, replace, appeared = open_store(tmp_path), Path.replace, list[str]()

    def note(self: Path, target: Path) -> Path:
        appeared.append(target.suffix)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", note)
    add(store, Readings())
    assert appeared == [".jpg", ".json"]


def test_frames_leave_the_last_space_to_results(tmp_path: Path) -> None:
    free = [MIN_FREE_BYTES + 1000]
    store = open_store(tmp_path, free_bytes=lambda _folder: free[0])
    with pytest.raises(DiskLow):
        add(store, Readings())
    free[0] = 2 * MIN_FREE_BYTES
    add(store, Readings())


def test_a_frame_that_somebody_deleted_is_not_there(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    frame, other, third = (add(store, Readings()) for _ in range(3))
    for each in tmp_path.iterdir():
        each.unlink()
    with pytest.raises(FrameNotKept):
        store.picture(frame)
    with pytest.raises(FrameNotKept):
        store.make_durable(other)
    assert not store.confirm(third)
    assert ids(store) == []


def test_reading_beside_an_agent_removes_nothing(tmp_path: Path) -> None:
    frame = add(open_store(tmp_path), Readings())
    (tmp_path / f".{frame}.jpg.new").write_bytes(b"being written")
    (tmp_path / f"{UUID(int=7)}.jpg").write_bytes(b"its record comes next")
    store = FrameStore(tmp_path, WIDE)
    store.open(make=False)
    assert ids(store) == [frame]
    assert len(list(tmp_path.iterdir())) == 4
    absent = FrameStore(tmp_path / "absent", WIDE)
    absent.open(make=False)
    assert not (tmp_path / "absent").exists()


def test_what_an_agent_renames_or_deletes_while_it_is_read_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings, agent, scandir = Readings(), open_store(tmp_path), os.scandir
    gone, stays = add(agent, readings), add(agent, readings)
    unfinished = tmp_path / f".{stays}.jpg.new"
    unfinished.touch()

    class Scanned(list[os.DirEntry[str]]):
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_error: object) -> None:
            agent.remove([gone])

    def scan(folder: Path) -> Scanned:
        found = Scanned(scandir(folder))
        unfinished.unlink()
        return found

    monkeypatch.setattr("edge_agent.collection.store.os.scandir", scan)
    store = FrameStore(tmp_path, WIDE)
    store.open(make=False)
    assert ids(store) == [stays]
    assert store.unreadable_count == 0


WRITER = """
import sys
from datetime import timedelta
from pathlib import Path
from edge_agent.collection.store import FrameStore, StoreLimits
from tests.kept import Readings, make_record
store = FrameStore(Path(sys.argv[1]), StoreLimits(2**30, timedelta(days=1), 40))
store.open()
readings = Readings()
print("writing", flush=True)
while True:
    store.add(*make_record(readings))
"""


def test_a_kill_leaves_only_whole_frames(tmp_path: Path) -> None:
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        while len(list(tmp_path.glob("*.json"))) < 20:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        store = open_store(tmp_path)
        names = {each.name for each in tmp_path.iterdir()}
        assert names == {f"{frame}{suffix}" for frame in ids(store) for suffix in (".jpg", ".json")}
        assert all(store.record(frame) and store.picture(frame) for frame in ids(store))
        store.remove(ids(store))
