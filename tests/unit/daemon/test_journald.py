"""The log's destination, with a stand-in for systemd-python; the system test uses the real one."""

from __future__ import annotations

import io
import logging
import os
import sys
import types
from pathlib import Path

import pytest

from edge_agent.daemon.journald import journal_fields, make_log_handler
from edge_agent.errors import CameraAbsent


def test_a_terminal_gets_lines_with_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    handler = make_log_handler({"JOURNAL_STREAM": "1:2"})
    handler.handle(logging.LogRecord("x", logging.WARNING, __file__, 1, "a %s", ("b",), None))
    written = stream.getvalue()
    assert written.endswith("WARNING a b\n")
    assert written[:2] == "20"


def test_an_error_gives_its_code_to_the_journal() -> None:
    record = logging.LogRecord("edge_agent", logging.ERROR, __file__, 7, "lost: %s", (CameraAbsent("No."),), None)
    fields = journal_fields(record)
    assert fields["LEUKOSCOPE_CODE"] == "camera_absent"
    assert fields["PRIORITY"] == 3
    assert fields["SYSLOG_IDENTIFIER"] == "leukoscope"
    plain = logging.LogRecord("edge_agent", logging.INFO, __file__, 7, "ready", (), None)
    assert "LEUKOSCOPE_CODE" not in journal_fields(plain)
    plain.code = "spool_full"
    assert journal_fields(plain)["LEUKOSCOPE_CODE"] == "spool_full"


def test_the_journal_gets_the_message_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sent: list[tuple[str, dict[str, object]]] = []
    journal = types.ModuleType("systemd.journal")
    journal.send = lambda message, **fields: sent.append((message, fields))  # type: ignore[attr-defined]
    package = types.ModuleType("systemd")
    package.journal = journal  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "systemd", package)
    monkeypatch.setitem(sys.modules, "systemd.journal", journal)
    with (tmp_path / "stderr").open("w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        found = os.fstat(stream.fileno())
        handler = make_log_handler({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
    # 'edge-agent run' does the same: it sets a formatter for every handler that has none.
    if handler.formatter is None:
        handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    error = CameraAbsent("No camera.", remedy="")
    handler.handle(logging.LogRecord("edge_agent", logging.ERROR, __file__, 1, "%s", (error,), None))
    assert [message for message, _ in sent] == ["camera_absent: No camera."]
    assert sent[0][1]["LEUKOSCOPE_CODE"] == "camera_absent"
