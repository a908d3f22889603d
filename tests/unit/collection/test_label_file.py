"""The file of labels survives kills, other processes and damage."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.collection.answers import AnswerBook
from edge_agent.collection.label_entry import LabelEntry
from edge_agent.collection.label_file import LabelFile
from edge_agent.errors import CollectionError, CollectionFull, DiskFull

ITEM = UUID(int=1)


def entry(number: int) -> LabelEntry:
    at = datetime(2026, 11, 29, tzinfo=UTC)
    return LabelEntry(id=UUID(int=number), at=at, by="work", item=ITEM, set="classes", label="benign")


def append(file: LabelFile, *numbers: int) -> None:
    file.append(lambda _book: [entry(number) for number in numbers])


def numbers(file: LabelFile) -> list[int]:
    return [each.int for each in file.read().entries]


def test_labels_come_back_after_a_restart_in_their_order(tmp_path: Path) -> None:
    file = LabelFile(tmp_path / "new")
    assert numbers(file) == []
    append(file, 3, 1)
    append(file, 2)
    append(file, 3)
    assert numbers(file) == numbers(LabelFile(tmp_path / "new")) == [3, 1, 2]
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.read_bytes().count(b"\n") == 3


def test_a_file_that_root_begins_belongs_to_whom_the_folder_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[Path, int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, user, group: given.append((path, user, group)))
    file = LabelFile(tmp_path)
    append(file, 1)
    append(file, 2)
    found = tmp_path.stat()
    assert given == [(file.path, found.st_uid, found.st_gid)], "an agent must be able to add to it"


def test_two_processes_see_each_others_labels(tmp_path: Path) -> None:
    one, other = LabelFile(tmp_path), LabelFile(tmp_path)
    for number in range(1, 7):
        append((one, other)[number % 2], number)
    assert numbers(one) == numbers(other) == [1, 2, 3, 4, 5, 6]


def test_no_other_process_appends_between_a_decision_and_its_line(tmp_path: Path) -> None:
    file = LabelFile(tmp_path)
    append(file, 1)

    def decide(book: AnswerBook) -> list[LabelEntry]:
        with file.path.open("rb") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return [entry(len(book.entries) + 1)]

    file.append(decide)
    assert numbers(file) == [1, 2]


@given(st.integers(0, 400), st.booleans())
def test_a_line_that_was_cut_short_costs_only_itself(
    tmp_path_factory: pytest.TempPathFactory, cut_bytes: int, repaired: bool
) -> None:
    folder = tmp_path_factory.mktemp("labels")
    file = LabelFile(folder)
    append(file, 1, 2)
    length = len(entry(2).to_json()) + 1
    lost = min(cut_bytes, length)
    os.truncate(file.path, file.path.stat().st_size - lost)
    after = LabelFile(folder)
    if repaired:
        after.repair()
    append(after, 3)
    # It is complete even without its line end.
    expected = [1, 2, 3] if lost < 2 else [1, 3]
    assert numbers(after) == numbers(LabelFile(folder)) == expected
    assert after.unreadable_count == (0 if lost in {0, 1, length} else 1)


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=6))
def test_lines_that_cannot_be_read_are_counted_and_stay(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("labels")
    file = LabelFile(folder)
    append(file, 1)
    damage = b"".join(line + b"\n" for line in lines)
    with file.path.open("ab") as opened:
        opened.write(damage)
    append(file, 2)
    assert numbers(file) == [1, 2]
    assert file.unreadable_count == sum(bool(line.strip()) for line in lines)
    assert damage in file.path.read_bytes()


def test_a_label_that_did_not_reach_the_disk_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = LabelFile(tmp_path)
    append(file, 1)
    before = file.path.read_bytes()

    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(CollectionError):
            append(file, 2)
    assert (numbers(file), file.path.read_bytes()) == ([1], before)


def test_half_a_label_on_a_full_disk_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = LabelFile(tmp_path)
    append(file, 1)
    before, write = file.path.read_bytes(), os.write
    calls: list[int] = []

    def fill_up(descriptor: int, content: bytes) -> int:
        calls.append(len(content))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content[:30])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fill_up)
        with pytest.raises(DiskFull):
            append(file, 2)
    assert file.path.read_bytes() == before
    append(file, 3)
    assert numbers(file) == [1, 3]


def test_the_file_is_bounded(tmp_path: Path) -> None:
    file = LabelFile(tmp_path, max_bytes=2 * len(entry(1).to_json()) + 10)
    append(file, 1, 2)
    with pytest.raises(CollectionFull):
        append(file, 3)
    assert numbers(file) == [1, 2]


def test_a_file_that_was_deleted_or_replaced_is_read_anew(tmp_path: Path) -> None:
    file, other = LabelFile(tmp_path), LabelFile(tmp_path)
    append(file, 1, 2)
    assert numbers(other) == [1, 2]
    file.delete()
    assert numbers(file) == numbers(other) == []
    append(file, 3)
    assert numbers(other) == [3]


def test_a_folder_in_its_place_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "labels.jsonl").mkdir()
    file = LabelFile(tmp_path)
    with pytest.raises(CollectionError):
        append(file, 1)
    with pytest.raises(CollectionError):
        file.read()


WRITER = """
import sys
from pathlib import Path
from edge_agent.collection.label_file import LabelFile
from tests.unit.collection.test_label_file import append
file = LabelFile(Path(sys.argv[1]))
for number in range(int(sys.argv[2]), 10**9):
    append(file, number)
    print(number, flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    acknowledged: list[int] = []
    for run in range(1, 4):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(run * 10**6)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        assert process.stdout is not None
        acknowledged += [int(process.stdout.readline()) for _ in range(15)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().split(b"\n")[:-1]]
        process.stdout.close()
        process.wait()
    file = LabelFile(tmp_path)
    file.repair()
    assert set(acknowledged) <= set(numbers(file))
    assert numbers(file) == sorted(numbers(file))


def test_many_processes_append_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    command = "import sys; sys.argv[2:] or exit()\n" + WRITER.replace("10**9", "int(sys.argv[2]) + 40")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", command, str(tmp_path), str(run * 1000)],
            stdout=subprocess.DEVNULL,
            cwd=Path(__file__).parents[3],
        )
        for run in range(1, 4)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    file = LabelFile(tmp_path)
    assert sorted(numbers(file)) == [run * 1000 + number for run in range(1, 4) for number in range(40)]
    assert file.unreadable_count == 0
