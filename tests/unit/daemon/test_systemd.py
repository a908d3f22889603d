"""What systemd is told, with a stand-in for systemd-python; the system test has the real one."""

from __future__ import annotations

import io
import logging
import os
import sys
import types
from pathlib import Path

import pytest

from edge_agent.daemon.systemd import (
    NullNotifier,
    SystemdNotifier,
    journal_fields,
    make_log_handler,
    make_notifier,
)
from edge_agent.errors import CameraAbsent

Told = list[dict[str, str]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Every notification, as its assignments."""
    found: Told = []
    daemon = types.ModuleType("systemd.daemon")
    daemon.notify = lambda text: found.append(dict(line.split("=", 1) for line in text.splitlines()))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "systemd", types.ModuleType("systemd"))
    monkeypatch.setitem(sys.modules, "systemd.daemon", daemon)
    return found


def test_each_state_is_told_in_systemds_words(told: Told) -> None:
    notifier = make_notifier({"NOTIFY_SOCKET": "/run/systemd/notify"})
    notifier.ready("reading")
    notifier.reloading()
    notifier.status("still reading")
    notifier.alive()
    notifier.stopping()
    assert [next(iter(each)) for each in told] == ["READY", "RELOADING", "STATUS", "WATCHDOG", "STOPPING"]
    assert told[0]["STATUS"] == "reading"
    assert int(told[1]["MONOTONIC_USEC"]) > 0


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "rubbish"}, None),
    ],
)
@pytest.mark.usefixtures("told")
def test_the_watchdog_is_ours_only_if_it_is_meant_for_us(environment: dict[str, str], watchdog_s: float | None) -> None:
    assert SystemdNotifier(environment).watchdog_s == watchdog_s


def test_without_systemd_nothing_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(make_notifier({}), NullNotifier)
    monkeypatch.setitem(sys.modules, "systemd", None)
    assert isinstance(make_notifier({"NOTIFY_SOCKET": "x"}), NullNotifier)
    assert "systemd-python is missing" in caplog.text
    for act in (NullNotifier().reloading, NullNotifier().stopping, NullNotifier().alive):
        act()


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


def test_the_journal_gets_the_message_alone(told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    del told
    sent: list[tuple[str, dict[str, object]]] = []
    journal = types.ModuleType("systemd.journal")
    journal.send = lambda message, **fields: sent.append((message, fields))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "systemd.journal", journal)
    monkeypatch.setattr(sys.modules["systemd"], "journal", journal, raising=False)
    with (tmp_path / "stderr").open("w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        found = os.fstat(stream.fileno())
        handler = make_log_handler({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
    # As 'edge-agent run' does: it gives a form to every handler that has none.
    if handler.formatter is None:
        handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    error = CameraAbsent("No camera.", remedy="")
    handler.handle(logging.LogRecord("edge_agent", logging.ERROR, __file__, 1, "%s", (error,), None))
    assert [message for message, _ in sent] == ["camera_absent: No camera."]
    assert sent[0][1]["LEUKOSCOPE_CODE"] == "camera_absent"
