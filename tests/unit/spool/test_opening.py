"""The spool opens whatever is in the state folder, if possible, and reports what it set aside."""

from __future__ import annotations

import os
import random
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from edge_agent.errors import SpoolBusy, SpoolError
from edge_agent.spool import Message, QuarantinedFile, SpoolLimits, SqliteSpool
from edge_agent.spool.place import FILE
from tests.mqtt import PATIENCE_S

LIMITS = SpoolLimits(max_bytes=2**20, max_age_s=3600, commit_delay_s=0)
NOBODY = 65534


def append(spool: SqliteSpool) -> UUID:
    message = Message(uuid7(), "leukoscope/v1/site/device/event", b"{}")
    spool.append(message, {"last": message.id.bytes})
    assert spool.flush(PATIENCE_S)
    return message.id


def assert_works(folder: Path) -> list[QuarantinedFile]:
    """Check that a spool opens, keeps a message across a restart, and reports once what it set aside."""
    spool = SqliteSpool(folder, LIMITS)
    found = spool.pop_quarantined_files()
    kept = append(spool)
    assert spool.error is None
    spool.close()
    again = SqliteSpool(folder, LIMITS)
    taken = []
    while (message := again.take(live=False)) is not None:
        taken.append(message.id)
    assert taken[-1] == kept
    assert again.state_entries("last") == {"last": kept.bytes}
    assert again.pop_quarantined_files() == []
    again.close()
    return found


@contextmanager
def without_privileges() -> Iterator[None]:
    """Become an ordinary user, to whom permissions apply."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE messages (sender TEXT, body TEXT)")


def foreign_socket(path: Path) -> None:
    # The path of a socket may have about a hundred characters.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def full_folder(path: Path) -> None:
    path.mkdir()
    path.joinpath("notes.txt").write_text("of a person")


NO_FILE: dict[str, Callable[[Path], object]] = {
    "a folder": Path.mkdir,
    "a folder with files": full_folder,
    "a pipe": os.mkfifo,
    "a socket": foreign_socket,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nowhere": lambda path: path.symlink_to("/nowhere/at/all"),
    "a link to a device": lambda path: path.symlink_to("/dev/null"),
}
NO_SPOOL: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("not a database at all\n" * 1000),
    "zeros": lambda path: path.write_bytes(bytes(10_000)),
    "noise": lambda path: path.write_bytes(random.Random(1).randbytes(10_000)),
    "a header": lambda path: path.write_bytes(b"SQLite format 3\0"),
    "another program's": of_another_program,
}


@pytest.mark.parametrize("what", NO_FILE | NO_SPOOL)
def test_what_is_no_spool_is_set_aside(tmp_path: Path, what: str) -> None:
    (NO_FILE | NO_SPOOL)[what](tmp_path / FILE)
    (found,) = assert_works(tmp_path)
    assert found.code == "spool_corrupt"
    assert found.path is not None
    assert os.path.lexists(found.path)
    assert found.path.name.startswith("spool.corrupt-")
    assert found.salvaged_count == 0


@pytest.mark.parametrize("name", [f"{FILE}-wal", f"{FILE}-shm", f"{FILE}-journal", "spool.lock", "spool.reserve"])
@pytest.mark.parametrize("what", NO_FILE)
def test_what_lies_beside_the_spool_is_in_nobodys_way(tmp_path: Path, name: str, what: str) -> None:
    NO_FILE[what](tmp_path / name)
    if what == "a link to nowhere" and name == "spool.reserve":
        assert_works(tmp_path)
        return
    assert assert_works(tmp_path) == []
    assert list(tmp_path.glob("*aside-*"))


def test_a_link_to_a_spool_elsewhere_is_used(tmp_path: Path) -> None:
    elsewhere = tmp_path / "card"
    elsewhere.mkdir()
    spool = SqliteSpool(elsewhere, LIMITS)
    append(spool)
    spool.close()
    folder = tmp_path / "state"
    folder.mkdir()
    folder.joinpath(FILE).symlink_to(elsewhere / FILE)
    assert assert_works(folder) == []
    assert folder.joinpath(FILE).is_symlink()
    spool = SqliteSpool(folder, LIMITS)
    append(spool)
    # The log is beside the file itself, so it is copied into the file in time.
    for _ in range(600):
        spool.append(Message(uuid7(), "leukoscope/v1/site/device/event", b"x" * 1700))
    assert spool.flush(PATIENCE_S)
    append(spool)
    spool.close()
    assert spool.stats().checkpoints_count > 0


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("what", NO_SPOOL)
@pytest.mark.parametrize("begun", [False, True])
def test_leftovers_of_another_spool_are_ignored(tmp_path: Path, suffix: str, what: str, begun: bool) -> None:
    if begun:
        spool = SqliteSpool(tmp_path, LIMITS)
        append(spool)
        spool.close()
    NO_SPOOL[what](tmp_path / f"{FILE}{suffix}")
    assert assert_works(tmp_path) == []


def test_a_spool_of_a_newer_release_is_set_aside_and_what_can_be_read_is_taken_over(tmp_path: Path) -> None:
    spool = SqliteSpool(tmp_path, LIMITS)
    kept = append(spool)
    spool.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.executescript("ALTER TABLE messages ADD COLUMN priority INTEGER; PRAGMA user_version=99;")
    spool = SqliteSpool(tmp_path, LIMITS)
    (found,) = spool.pop_quarantined_files()
    assert (found.code, found.salvaged_count) == ("spool_newer", 1)
    assert found.path is not None
    assert found.path.name.startswith("spool.newer-")
    message = spool.take(live=False)
    assert message is not None
    assert message.id == kept
    assert spool.state_entries() == {"last": kept.bytes}
    spool.close()


def test_rows_that_are_no_messages_of_a_file_that_is_replaced_are_told(tmp_path: Path) -> None:
    spool = SqliteSpool(tmp_path, LIMITS)
    append(spool)
    kept = append(spool)
    spool.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.executescript("UPDATE messages SET topic = x'ff' WHERE number = 1; PRAGMA user_version=99;")
    spool = SqliteSpool(tmp_path, LIMITS)
    assert [each.code for each in spool.pop_quarantined_messages()] == ["message_damaged"]
    message = spool.take(live=False)
    assert message is not None
    assert message.id == kept
    stats = spool.stats()
    assert (stats.accepted_count, stats.quarantined_count, stats.in_flight_count) == (2, 1, 1)
    spool.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE messages SET number = -5 WHERE number = 1",
        "UPDATE messages SET number = 9223372036854775807 WHERE number = 2",
        "UPDATE sqlite_sequence SET seq = 9223372036854775807",
        "UPDATE sqlite_sequence SET seq = 'x'",
        "UPDATE sqlite_sequence SET seq = NULL",
        "DELETE FROM sqlite_sequence",
        "DROP TABLE notes",
        "DROP TABLE counters",
        "DELETE FROM counters",
        "DROP TABLE quarantine",
        "PRAGMA user_version=-1",
        "PRAGMA user_version=0",
    ],
)
def test_damage_within_the_tables_costs_no_message(tmp_path: Path, damage: str) -> None:
    spool = SqliteSpool(tmp_path, LIMITS)
    ids = {append(spool), append(spool)}
    spool.close()
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as connection:
        connection.execute(damage)
    spool = SqliteSpool(tmp_path, LIMITS)
    ids.add(append(spool))
    spool.requeue_all()
    taken = []
    while (message := spool.take(live=False)) is not None:
        taken.append(message.id)
    assert len(taken) == 3
    assert set(taken) == ids
    stats = spool.stats()
    assert (stats.accepted_count, stats.in_flight_count) == (3, 3)
    spool.close()


def test_counters_that_are_damaged_are_counted_again(tmp_path: Path) -> None:
    spool = SqliteSpool(tmp_path, LIMITS)
    append(spool)
    append(spool)
    spool.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE counters SET value = 'many' WHERE name = 'accepted'")
        connection.execute("UPDATE counters SET value = x'ff' WHERE name = 'clock_s'")
    spool = SqliteSpool(tmp_path, LIMITS)
    stats = spool.stats()
    assert (stats.accepted_count, stats.waiting_count) == (2, 2)
    spool.close()


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that every account can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def test_a_file_that_may_not_be_read_is_set_aside(shared_folder: Path) -> None:
    SqliteSpool(shared_folder, LIMITS).close()
    shared_folder.joinpath(FILE).chmod(0)
    with without_privileges():
        spool = SqliteSpool(shared_folder, LIMITS)
        (found,) = spool.pop_quarantined_files()
        append(spool)
        spool.close()
    assert found.path is not None
    assert found.path.exists()
    assert found.code == "spool_failed"


def test_a_log_that_may_not_be_read_does_not_cost_what_is_in_the_file(shared_folder: Path) -> None:
    with without_privileges():
        spool = SqliteSpool(shared_folder, LIMITS)
        kept = append(spool)
        spool.close()
    log = shared_folder / f"{FILE}-wal"
    log.write_bytes(b"of another account")
    log.chmod(0)
    with without_privileges():
        spool = SqliteSpool(shared_folder, LIMITS)
        (found,) = spool.pop_quarantined_files()
        message = spool.take(live=False)
        spool.close()
    assert found.salvaged_count == 1
    assert message is not None
    assert message.id == kept


def test_a_lock_of_another_account_is_used_if_it_can_be_read(shared_folder: Path) -> None:
    shared_folder.joinpath("spool.lock").touch(0o444)
    with without_privileges():
        assert assert_works(shared_folder) == []


def test_a_lock_that_may_not_be_read_is_one_error_with_its_remedy(shared_folder: Path) -> None:
    """Whoever has it may hold it: with another lock there would be two agents."""
    shared_folder.joinpath("spool.lock").touch(0o000)
    with without_privileges():
        assert "chown" in unusable(shared_folder).remedy


def unusable(folder: Path) -> SpoolError:
    with pytest.raises(SpoolError) as caught:
        SqliteSpool(folder, LIMITS)
    assert caught.value.code == "spool_failed"
    return caught.value


def test_a_folder_that_may_not_be_written_is_one_error_with_its_remedy(shared_folder: Path) -> None:
    folder = shared_folder / "state"
    folder.mkdir(mode=0o555)
    with without_privileges():
        assert "chown" in unusable(folder).remedy
        assert "chown" in unusable(folder / "below").remedy


@pytest.mark.parametrize("below", ["", "below/it"])
def test_a_file_instead_of_the_folder_is_one_error_with_its_remedy(tmp_path: Path, below: str) -> None:
    tmp_path.joinpath("state").write_text("?")
    error = unusable(tmp_path / "state" / below)
    assert "not a folder" in error.message
    assert "state.folder" in error.remedy


def test_a_read_only_disk_is_one_error_with_its_remedy(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(tmp_path)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a read-only disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        assert "read-only" in unusable(tmp_path / "state").message
        assert "read-only" in unusable(tmp_path).message
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_file_that_another_program_has_locked_is_left_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SqliteSpool(tmp_path, LIMITS).close()
    monkeypatch.setattr("edge_agent.spool.file.BUSY_TIMEOUT_MS", 1)
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM notes")
        with pytest.raises(SpoolBusy):
            SqliteSpool(tmp_path, LIMITS)
        other.execute("COMMIT")
    assert assert_works(tmp_path) == []
