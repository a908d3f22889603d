from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.errors import AuditBroken, AuditUnwritable
from edge_agent.events.audit_log import AuditLog, verify_audit

RECORDS = [b'{"n":0}', b'{"n":1}', b'{"n":2}', b'{"n":3}']


def written(path: Path) -> bytes:
    log = AuditLog(path)
    for record in RECORDS:
        log.append(record)
    log.close()
    return path.read_bytes()


def test_a_log_that_was_only_appended_to_verifies_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    positions = []
    for record in RECORDS:
        log = AuditLog(path)
        positions.append(log.append(record))
        log.close()
    assert [position.seq for position in positions] == [0, 1, 2, 3]
    assert verify_audit(path) == positions[-1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_shows(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.unlink(missing_ok=True)
    content = bytearray(written(path))
    place = data.draw(st.integers(0, len(content) - 1))
    match data.draw(st.sampled_from(["change", "insert", "delete"])):
        case "change":
            content[place] ^= data.draw(st.integers(1, 255))
        case "insert":
            content.insert(place, data.draw(st.integers(0, 255)))
        case "delete":
            del content[place]
    if bytes(content) == path.read_bytes():
        return
    path.write_bytes(content)
    with pytest.raises(AuditBroken):
        verify_audit(path)


@pytest.mark.parametrize("change", ["drop the first", "drop one", "swap", "repeat"])
def test_whole_lines_cannot_be_moved_or_removed(tmp_path: Path, change: str) -> None:
    path = tmp_path / "audit.log"
    lines = written(path).splitlines(keepends=True)
    changed = {
        "drop the first": lines[1:],
        "drop one": [lines[0], *lines[2:]],
        "swap": [lines[0], lines[2], lines[1], lines[3]],
        "repeat": [*lines, lines[3]],
    }[change]
    path.write_bytes(b"".join(changed))
    with pytest.raises(AuditBroken, match="line"):
        verify_audit(path)


def test_a_line_that_a_power_cut_left_unfinished_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    whole = written(path)
    path.write_bytes(whole[:-5])
    with pytest.raises(AuditBroken, match="not finished"):
        verify_audit(path)
    log = AuditLog(path)
    assert log.repaired
    assert log.append(RECORDS[3]).seq == 3
    log.close()
    assert path.read_bytes() == whole


def test_a_log_that_ends_wrongly_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    content = written(path)
    path.write_bytes(content.replace(b'{"n":3}', b'{"n":9}'))
    with pytest.raises(AuditBroken):
        AuditLog(path)


def test_a_log_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(AuditUnwritable):
        AuditLog(tmp_path)
    with pytest.raises(AuditUnwritable):
        verify_audit(tmp_path / "absent")
