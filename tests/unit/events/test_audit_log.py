"""The audit log's chain, its rotation, and anything that may be in its place."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.contracts import AuditPosition, EventKind
from edge_agent.errors import AuditBroken, AuditUnwritable
from edge_agent.events.audit_entry import MAX_LINE_BYTES, chain
from edge_agent.events.audit_log import SET_ASIDE_MAX, AuditLog, Repaired, SetAside
from edge_agent.events.audit_segments import older_segments
from edge_agent.events.audit_verify import verify_audit

RECORDS: list[dict[str, object]] = [{"n": number} for number in range(4)]
SMALL_BYTES = 300
"""A file is full after two or three lines."""


@pytest.fixture(autouse=True)
def no_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here depends on the medium, and thousands of syncs would take minutes on a busy disk."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


def written(path: Path, records: list[dict[str, object]] = RECORDS, **bounds: int) -> AuditPosition:
    """Append each record with its own log; returns the last position."""
    position = None
    for record in records:
        log = AuditLog(path, **bounds)
        position = append(log, record)
        log.close()
    assert position is not None
    return position


def append(log: AuditLog, record: dict[str, object]) -> AuditPosition:
    """Append as the recorder does: with an entry that says what is deleted, before the deletion."""
    position = log.append(record)
    excess = log.excess()
    if excess:
        segment, end = excess[-1]
        assert end is not None
        details = {"through_seq": segment.last_seq, "through_sha256": end.sha256}
        position = log.append({"kind": EventKind.AUDIT_TRIMMED, "details": details})
        for old, _ in excess:
            log.delete(old)
    return position


def opened(path: Path) -> AuditLog:
    log = AuditLog(path)
    log.open()
    return log


def files(path: Path) -> dict[Path, bytes]:
    paths = [*(segment.path for segment in older_segments(path)), path]
    return {each: each.read_bytes() for each in paths if each.exists()}


def test_a_log_that_was_only_appended_to_verifies_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    last = written(path)
    found = verify_audit(path)
    assert found.last == last
    assert (found.entries_count, last.seq) == (4, 3)
    assert found.oldest is not None
    assert found.oldest.seq == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_any_change_of_a_byte_shows_in_whichever_file_it_is(data: st.DataObject, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "audit.log"
    written(path, RECORDS * 3, segment_bytes=SMALL_BYTES)
    changed, before = data.draw(st.sampled_from(sorted(files(path).items())))
    content = bytearray(before)
    place = data.draw(st.integers(0, len(content) - 1))
    match data.draw(st.sampled_from(["change", "insert", "delete"])):
        case "change":
            content[place] ^= data.draw(st.integers(1, 255))
        case "insert":
            content.insert(place, data.draw(st.integers(0, 255)))
        case "delete":
            del content[place]
    if bytes(content) == before:
        return
    changed.write_bytes(content)
    with pytest.raises(AuditBroken, match=changed.name):
        verify_audit(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    lengths=st.lists(st.integers(0, 400), min_size=1, max_size=40),
    segment_bytes=st.integers(1, 1500),
    segments_max=st.integers(1, 4),
    restarts=st.sets(st.integers(0, 39)),
)
def test_the_chain_runs_through_every_rotation(
    tmp_path: Path, lengths: list[int], segment_bytes: int, segments_max: int, restarts: set[int]
) -> None:
    folder = tmp_path / "log"
    shutil.rmtree(folder, ignore_errors=True)
    path = folder / "audit.log"
    log = AuditLog(path, segment_bytes=segment_bytes, segments_max=segments_max)
    for number, length in enumerate(lengths):
        position = append(log, {"text": "x" * length})
        if number in restarts:
            log.close()
            log = AuditLog(path, segment_bytes=segment_bytes, segments_max=segments_max)
        found = verify_audit(path)
        assert found.last == position
        assert found.oldest is not None
        assert found.entries_count == position.seq - found.oldest.seq + 1
        assert len(older_segments(path)) <= segments_max + 1
    log.close()
    for segment in older_segments(path):
        assert verify_audit(segment.path).last is not None


class Killed(BaseException):
    """The power fails here."""


def test_a_power_cut_between_any_two_steps_of_a_rotation_costs_nothing_that_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps_count = 0
    for cut_at in range(1000):
        path = tmp_path / str(cut_at) / "audit.log"
        bounds = {"segment_bytes": SMALL_BYTES, "segments_max": 2}
        acknowledged = written(path, RECORDS * 3, **bounds)
        with monkeypatch.context() as patch:
            left = cut_at

            def step(real: Callable[..., object]) -> Callable[..., object]:
                def run(*given: object, **named: object) -> object:
                    nonlocal left
                    if left == 0:
                        raise Killed
                    left -= 1
                    return real(*given, **named)

                return run

            for name in ("open", "write", "fsync", "rename", "unlink", "ftruncate"):
                patch.setattr(os, name, step(getattr(os, name)))
            try:
                log = AuditLog(path, **bounds)
                for record in RECORDS * 2:
                    acknowledged = append(log, record)
                log.close()
            except Killed:
                pass
            else:
                steps_count = cut_at
                break
        again = AuditLog(path, **bounds)
        position = append(again, {"again": True})
        assert position.seq > acknowledged.seq
        assert not again.pop_incidents()
        again.close()
        assert verify_audit(path).last == position
    # Opening, eight lines with their syncs, three rotations and their deletions.
    assert steps_count > 30


def test_a_line_that_was_written_in_part_when_the_power_failed_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    written(path)
    whole = path.read_bytes()
    last_line_begins = whole.rindex(b"\n", 0, -1) + 1
    for end in range(last_line_begins + 1, len(whole)):
        for zeros in (0, 100):
            path.write_bytes(whole[:end] + b"\0" * zeros)
            with pytest.raises(AuditBroken, match="is incomplete"):
                verify_audit(path)
            log = opened(path)
            assert log.pop_incidents() == [Repaired(path)]
            assert log.append(RECORDS[3]).seq == 3
            log.close()
            assert path.read_bytes() == whole


@pytest.mark.parametrize("change", ["drop the first", "drop one", "swap", "repeat"])
def test_whole_lines_cannot_be_moved_or_removed(tmp_path: Path, change: str) -> None:
    path = tmp_path / "audit.log"
    written(path)
    lines = path.read_bytes().splitlines(keepends=True)
    changed = {
        "drop the first": lines[1:],
        "drop one": [lines[0], *lines[2:]],
        "swap": [lines[0], lines[2], lines[1], lines[3]],
        "repeat": [*lines, lines[3]],
    }[change]
    path.write_bytes(b"".join(changed))
    with pytest.raises(AuditBroken, match="line"):
        verify_audit(path)


@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_whole_file_that_is_removed_shows(tmp_path: Path, which: int) -> None:
    path = tmp_path / "audit.log"
    written(path, RECORDS * 4, segment_bytes=SMALL_BYTES)
    older_segments(path)[which].path.unlink()
    with pytest.raises(AuditBroken, match=r"missing|does not follow"):
        verify_audit(path)


def test_the_beginning_may_be_missing_only_if_the_log_says_that_it_was_deleted(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    written(path, RECORDS * 6, segment_bytes=SMALL_BYTES, segments_max=2)
    found = verify_audit(path)
    assert found.oldest is not None
    assert found.oldest.seq > 0
    older_segments(path)[0].path.unlink()
    with pytest.raises(AuditBroken, match="missing"):
        verify_audit(path)


def test_verify_names_the_file_and_the_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    written(path, RECORDS * 4, segment_bytes=SMALL_BYTES)
    segment = older_segments(path)[1].path
    segment.write_bytes(segment.read_bytes().replace(b'"n":', b'"m":'))
    with pytest.raises(AuditBroken, match=rf"{segment.name}: line 1 "):
        verify_audit(path)


def test_only_the_end_of_a_log_is_read_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audit.log"
    written(path, [{"text": "x" * 1000}])
    with AuditLogs(path) as log:
        for _ in range(1000):
            log.append({"text": "x" * 1000})
    read = 0
    real = os.pread

    def pread(descriptor: int, count: int, place: int) -> bytes:
        nonlocal read
        read += count
        return real(descriptor, count, place)

    monkeypatch.setattr(os, "pread", pread)
    opened(path).close()
    assert 0 < read <= 3 * MAX_LINE_BYTES < path.stat().st_size


class AuditLogs:
    """A log whose files are large enough for all lines of a test."""

    def __init__(self, path: Path) -> None:
        self._log = AuditLog(path, segment_bytes=2**30)

    def __enter__(self) -> AuditLog:
        return self._log

    def __exit__(self, *_: object) -> None:
        self._log.close()


def old_log(path: Path, count: int) -> None:
    """Write a log as release 0.1 did."""
    digest, lines = "0" * 64, []
    for number in range(count):
        record = json.dumps({"n": number}).encode()
        digest = chain(digest, record)
        lines.append(f"{digest} ".encode() + record + b"\n")
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize("count", [0, 1, 2, 500])
def test_a_log_of_the_first_release_goes_on(tmp_path: Path, count: int) -> None:
    path = tmp_path / "audit.log"
    old_log(path, count)
    log = AuditLog(path, segment_bytes=SMALL_BYTES)
    assert [append(log, record).seq for record in RECORDS] == [count, count + 1, count + 2, count + 3]
    log.close()
    assert not log.pop_incidents()
    assert verify_audit(path).entries_count == count + 4


def fifo(path: Path) -> None:
    os.mkfifo(path)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def wrong_chain(path: Path) -> None:
    written(path)
    path.write_bytes(path.read_bytes().replace(b'"n":3', b'"n":9'))


NOT_A_LOG: dict[str, Callable[[Path], object]] = {
    "folder": Path.mkdir,
    "fifo": fifo,
    "link to itself": loop,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "endless text": lambda path: path.write_bytes(b"x" * 5_000_000),
    "huge line": lambda path: path.write_bytes(b"0" * 64 + b' {"x":"' + b"x" * 3_000_000 + b'"}\n'),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "not UTF-8": lambda path: path.write_bytes(b"0" * 64 + b' {"x":"\xff"}\n'),
    "text": lambda path: path.write_text("hello\nworld\n"),
    "empty lines": lambda path: path.write_text("\n\n\n"),
    "JSON of another kind": lambda path: path.write_text("0" * 64 + " []\n"),
    "another release": lambda path: path.write_text("0" * 64 + ' {"seq":"one"}\n'),
    "wrong chain": wrong_chain,
    "spool": lambda path: path.write_bytes(b"SQLite format 3\0" + b"\0" * 4096),
}


@pytest.mark.parametrize("kind", NOT_A_LOG)
def test_what_is_not_a_log_is_set_aside(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "audit.log"
    NOT_A_LOG[kind](path)
    log = opened(path)
    (incident,) = log.pop_incidents()
    assert isinstance(incident, SetAside)
    assert os.path.lexists(incident.path)
    assert incident.path.name.startswith("audit.corrupt-")
    assert log.append(RECORDS[0]).seq == 0
    log.close()
    found = verify_audit(path)
    assert found.entries_count == 1
    assert found.set_aside == (incident.path,)


def test_a_socket_in_the_logs_place_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(path.name)
    finally:
        os.chdir(here)
    log = opened(path)
    assert [type(incident) for incident in log.pop_incidents()] == [SetAside]
    log.close()


@pytest.mark.parametrize("kind", NOT_A_LOG)
def test_an_older_file_that_is_not_one_does_not_stop_the_log(tmp_path: Path, kind: str) -> None:
    """The file in use is gone, so that the chain would go on from there."""
    NOT_A_LOG[kind](tmp_path / "audit.0000000009.log")
    log = opened(tmp_path / "audit.log")
    assert [type(incident) for incident in log.pop_incidents()] == [SetAside]
    assert log.append(RECORDS[0]).seq == 0
    log.close()
    assert verify_audit(tmp_path / "audit.log").entries_count == 1


@pytest.mark.parametrize("kind", NOT_A_LOG)
def test_what_is_put_in_the_logs_place_while_it_is_written_is_set_aside(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "audit.log"
    log = opened(path)
    log.append(RECORDS[0])
    path.unlink()
    NOT_A_LOG[kind](path)
    assert log.append(RECORDS[1]).seq == 1
    assert [type(incident) for incident in log.pop_incidents()] == [SetAside]
    log.close()
    again = opened(path)
    assert again.append(RECORDS[2]).seq == 2
    again.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(content=st.binary(max_size=400), behind=st.booleans())
def test_no_content_keeps_the_log_from_going_on(content: bytes, behind: bool, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "audit.log"
    if behind:
        written(path)
    with path.open("ab") as file:
        file.write(content)
    log = opened(path)
    position = log.append({"new": True})
    log.close()
    assert verify_audit(path).last == position


def empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("spoil", [Path.unlink, empty])
def test_a_log_that_is_emptied_or_deleted_while_it_is_written_goes_on_and_shows_it(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    path = tmp_path / "audit.log"
    log = opened(path)
    log.append(RECORDS[0])
    log.append(RECORDS[1])
    spoil(path)
    assert log.append(RECORDS[2]).seq == 2
    assert log.append(RECORDS[3]).seq == 3
    log.close()
    again = opened(path)
    assert not again.pop_incidents()
    assert again.append(RECORDS[3]).seq == 4
    again.close()
    with pytest.raises(AuditBroken, match="up to 1 are missing"):
        verify_audit(path)


def test_damaged_files_do_not_fill_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    for _ in range(SET_ASIDE_MAX + 5):
        path.write_bytes(b"damaged\n")
        opened(path).close()
    assert len(list(tmp_path.glob("audit.corrupt-*"))) == SET_ASIDE_MAX


def test_the_file_that_was_just_found_damaged_stays_where_the_clock_was_set_back(tmp_path: Path) -> None:
    for number in range(SET_ASIDE_MAX):
        (tmp_path / f"audit.corrupt-99990101T00000{number}000000Z-0.log").write_bytes(b"damaged later\n")
    path = tmp_path / "audit.log"
    path.write_bytes(b"damaged\n")
    log = opened(path)
    (found,) = log.pop_incidents()
    log.close()
    assert found.path.read_bytes() == b"damaged\n"
    assert len(list(tmp_path.glob("audit.corrupt-*"))) == SET_ASIDE_MAX


def test_a_log_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    log = AuditLog(tmp_path / "file" / "audit.log")
    with pytest.raises(AuditUnwritable):
        log.open()
    with pytest.raises(AuditUnwritable):
        log.append(RECORDS[0])
    with pytest.raises(AuditUnwritable):
        verify_audit(tmp_path / "absent")


@pytest.mark.parametrize("name", ["open", "write", "fsync", "rename"])
def test_an_error_of_the_disk_is_said_once_and_the_log_goes_on_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / "audit.log"
    log = AuditLog(path, segment_bytes=1)
    log.append(RECORDS[0])

    def fail(*_: object, **__: object) -> object:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, name, fail)
        with pytest.raises(AuditUnwritable, match="Input/output error"):
            log.append(RECORDS[1])
    position = log.append(RECORDS[1])
    log.close()
    assert not [incident for incident in log.pop_incidents() if isinstance(incident, SetAside)]
    assert verify_audit(path).last == position


def test_a_line_that_stands_there_although_the_disk_reported_an_error_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.log"
    log = opened(path)
    log.append(RECORDS[0])

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        patch.setattr(os, "ftruncate", fail)
        with pytest.raises(AuditUnwritable):
            log.append(RECORDS[1])
    assert log.append(RECORDS[2]).seq == 2
    assert not log.pop_incidents()
    log.close()
    assert verify_audit(path).entries_count == 3


@pytest.mark.parametrize("movable", [True, False])
def test_a_file_of_somebody_else_is_set_aside_where_that_can_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, movable: bool
) -> None:
    path = tmp_path / "audit.log"
    path.write_text("root's own")
    inode = path.stat().st_ino
    real_open, real_rename = os.open, os.rename

    def refuse(place: str | Path, *rest: int, **named: int) -> int:
        if Path(place).exists() and Path(place).stat().st_ino == inode:
            raise PermissionError(13, "Permission denied")
        return real_open(place, *rest, **named)

    def rename(old: Path, new: Path) -> None:
        if not movable:
            raise PermissionError(13, "Permission denied")
        real_rename(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        patch.setattr(os, "rename", rename)
        log = AuditLog(path)
        if movable:
            log.open()
            assert [type(incident) for incident in log.pop_incidents()] == [SetAside]
            assert log.append(RECORDS[0]).seq == 0
        else:
            for _ in range(2):
                with pytest.raises(AuditUnwritable, match="Permission denied"):
                    log.append(RECORDS[0])
            assert not log.set_aside_paths
        log.close()


def test_an_entry_that_is_too_long_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = opened(path)
    log.append(RECORDS[0])
    with pytest.raises(AuditUnwritable, match="too long"):
        log.append({"text": "x" * MAX_LINE_BYTES})
    assert log.append(RECORDS[1]).seq == 1
    log.close()
    assert verify_audit(path).entries_count == 2
