from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from edge_agent.cli.local_broker import LOOPBACK, free_port
from edge_agent.daemon.notify import NullNotifier
from edge_agent.daemon.safe_mode import LAST_GOOD, find_connection, find_page, keep_last_good
from edge_agent.daemon.service import Service
from edge_agent.daemon.signals import OBEYED, SignalQueue
from edge_agent.errors import BundleMissing
from edge_agent.spool.settings import default_state_folder


@pytest.fixture
def signals() -> Iterator[SignalQueue]:
    """A queue of signals; afterwards the process gets its own handlers back."""
    before = {number: signal.getsignal(number) for number in OBEYED}
    yield SignalQueue()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("section", ["web", "prometheus"])
def test_an_agent_that_cannot_be_built_leaves_no_port_taken(tmp_path: Path, section: str, signals: SignalQueue) -> None:
    port = free_port()
    config = tmp_path / "agent.toml"
    config.write_text(
        '[device]\nsite = "clinic"\nid = "scope-1"\n[camera]\nkind = "synthetic"\n'
        f'[analysis]\nbundle = "absent"\n[state]\nfolder = "{tmp_path}/state"\n'
        f"[{section}]\nenabled = true\nport = {port}\n"
    )
    service = Service(config, signals, NullNotifier(), lambda _level: None, has_safe_mode=False)
    with pytest.raises(BundleMissing):
        service.run()
    with socket.create_server((LOOPBACK, port)):
        pass


@pytest.mark.parametrize("kind", ["bytes", "folder", "dangling link"])
def test_a_configuration_is_kept_over_whatever_lies_there_or_that_is_logged(tmp_path: Path, kind: str) -> None:
    config, kept = tmp_path / "agent.toml", tmp_path / "state" / LAST_GOOD
    config.write_bytes(b"\xef\xbb\xbf[device]\n")
    kept.parent.mkdir()
    match kind:
        case "bytes":
            kept.write_bytes(b"\xff")
        case "folder":
            kept.mkdir()
        case _:
            kept.symlink_to(tmp_path / "nowhere")
    keep_last_good(config, kept.parent)
    assert kind == "folder" or kept.read_bytes() == config.read_bytes()


@pytest.mark.parametrize("kind", ["nested", "long number", "long name", "pipe"])
def test_whatever_the_configuration_is_the_last_one_that_worked_names_the_broker(
    tmp_path: Path, kind: str, signals: SignalQueue
) -> None:
    config, state = tmp_path / "agent.toml", tmp_path / "state"
    config.write_text('[device]\nsite = "clinic"\nid = "scope-1"\n[web]\nenabled = true\n')
    keep_last_good(config, state)
    match kind:
        case "nested":
            config.write_text(f"a = {'[' * 50_000}")
        case "long number":
            config.write_text(f"a = {'9' * 5000}")
        case "long name":
            config = tmp_path / ("a" * 300)
        case _:
            config.unlink()
            os.mkfifo(config)
    found, page = find_connection(config, state), find_page(config, state)
    assert found is not None
    assert page is not None
    assert (found.device.id, page.device.id) == ("scope-1", "scope-1")
    # Safe mode looks now and then whether the file has changed.
    Service(config, signals, NullNotifier(), lambda _level: None, has_safe_mode=True)._text()


def test_safe_mode_finds_the_broker_of_an_agent_with_a_state_folder_of_its_own(
    tmp_path: Path, signals: SignalQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(
        '[device]\nsite = "clinic"\nid = "scope-1"\n[camera]\nkind = "synthetic"\n'
        f'[state]\nfolder = "{tmp_path}/elsewhere"\n'
    )
    monkeypatch.setattr("edge_agent.daemon.service.Agent", MagicMock())
    with ExitStack() as stack:
        Service(config, signals, NullNotifier(), lambda _level: None, has_safe_mode=True)._begin(stack)
    config.write_text("[device\n")
    found = find_connection(config, default_state_folder())
    assert found is not None
    assert found.device.id == "scope-1"


def test_a_user_without_a_home_has_safe_mode_too(
    tmp_path: Path, signals: SignalQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setattr("platformdirs.user_state_path", lambda _name: Path("~/leukoscope"))
    monkeypatch.setattr("edge_agent.daemon.service.Agent", MagicMock())
    config = tmp_path / "agent.toml"
    config.write_text(
        '[device]\nsite = "clinic"\nid = "scope-1"\n[camera]\nkind = "synthetic"\n'
        f'[state]\nfolder = "{tmp_path}/elsewhere"\n'
    )
    service = Service(config, signals, NullNotifier(), lambda _level: None, has_safe_mode=True)
    with ExitStack() as stack:
        service._begin(stack)
    config.write_text("[device\n")
    os.kill(os.getpid(), signal.SIGTERM)
    service.run()


def test_what_an_agent_has_loaded_is_left_out_of_full_collections(tmp_path: Path, signals: SignalQueue) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(
        '[device]\nsite = "clinic"\nid = "scope-1"\n[camera]\nkind = "synthetic"\n[analysis]\nbundle = "demo"\n'
        f'[mqtt]\nport = {free_port()}\n[state]\nfolder = "{tmp_path}/state"\n'
    )
    spared: list[int] = []

    class Told(NullNotifier):
        def ready(self, status: str) -> None:
            spared.append(gc.get_freeze_count())
            os.kill(os.getpid(), signal.SIGTERM)

    before = gc.get_freeze_count()
    try:
        Service(config, signals, Told(), lambda _level: None, has_safe_mode=False).run()
    finally:
        gc.unfreeze()
    assert spared[0] > before + 10_000
