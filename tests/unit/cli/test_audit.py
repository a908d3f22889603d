"""The output of ``edge-agent audit verify``."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result
from uuid_utils.compat import uuid7

from edge_agent.cli.audit import audit
from edge_agent.contracts import EventKind, Topics
from edge_agent.errors import AuditBroken, AuditUnwritable
from edge_agent.events.audit_segments import older_segments
from edge_agent.events.recorder import EventRecorder
from edge_agent.spool import MemorySpool


def record(folder: Path, count: int) -> Path:
    events = EventRecorder(folder, MemorySpool(2**24), Topics("clinic", "scope-1"), uuid7())
    for _ in range(count):
        events.record(EventKind.PAUSED, "Reading is paused.")
    events.close()
    return folder / "audit.log"


def verify(path: Path) -> Result:
    return CliRunner().invoke(audit, ["--file", str(path)])


def test_a_log_is_summed_up(tmp_path: Path) -> None:
    path = record(tmp_path, 3)
    done = verify(path)
    assert done.exit_code == 0
    assert "ok, 3 entries\n" in done.output
    assert "oldest: entry 0, 20" in done.output
    assert "deleted" not in done.output
    assert "newest: entry 2, sha256 " in done.output


def test_it_says_what_is_no_longer_kept_and_what_was_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.events.recorder.SEGMENT_BYTES", 1500)
    monkeypatch.setattr("edge_agent.events.recorder.SEGMENTS_MAX", 2)
    (tmp_path / "audit.log").write_text("damaged\n")
    path = record(tmp_path, 30)
    done = verify(path)
    assert done.exit_code == 0
    assert "in 3 files" in done.output
    assert "older entries were deleted to make room" in done.output
    assert "damaged, renamed to: audit.corrupt-" in done.output
    # An older file can be checked by itself.
    assert verify(older_segments(path)[0].path).exit_code == 0


def test_an_empty_log_is_one(tmp_path: Path) -> None:
    assert "ok, empty" in verify(record(tmp_path, 0)).output


def test_file_and_line_of_a_change_are_named(tmp_path: Path) -> None:
    path = record(tmp_path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1].replace(b"paused", b"padded"), lines[2]]))
    done = verify(path)
    assert isinstance(done.exception, AuditBroken)
    assert "audit.log: line 2 " in done.exception.message


@pytest.mark.parametrize("name", ["absent.log", "absent/audit.log"])
def test_a_log_that_is_not_there_is_said_so(tmp_path: Path, name: str) -> None:
    assert isinstance(verify(tmp_path / name).exception, AuditUnwritable)


def test_a_folder_is_no_log(tmp_path: Path) -> None:
    assert isinstance(verify(tmp_path).exception, AuditBroken)
