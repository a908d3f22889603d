"""Notifications to systemd, with a stand-in for systemd-python; the system test uses the real one."""

from __future__ import annotations

import sys
import types

import pytest

from edge_agent.daemon.notify import NullNotifier, SystemdNotifier, make_notifier

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
