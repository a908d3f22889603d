"""A real agent whose Edge TPU stalls and is unplugged, as seen at the broker."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from edge_agent.contracts import Check, Event, Health, Info, Outcome, Result
from tests.edge_tpu.stand_in import FakeUsb
from tests.mqtt import PATIENCE_S, Subscriber


@dataclass(slots=True)
class Seen:
    """The messages of an agent, which must not omit any reading."""

    subscriber: Subscriber
    results: list[Result] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    info: Info | None = None

    def read(self) -> None:
        body = self.subscriber.next_of({"result", "event", "health", "info"}).body()
        match body:
            case Result():
                assert body.outcome is not Outcome.FAILED, body.error
                assert body.seq == len(self.results)
                self.results.append(body)
            case Event():
                self.events.append(body)
            case Health():
                self.checks += [check for check in body.checks if check.name == "accelerator"]
            case Info():
                self.info = body

    def until(self, *, accelerator: str | None, code: str | None, event: str) -> None:
        """Wait for a result from ``accelerator``, health with ``code``, and ``event`` as the Edge TPU's last event."""
        while not (
            self.results
            and self.results[-1].accelerator == accelerator
            and self.checks
            and self.checks[-1].code == code
            and [each.kind for each in self.events if str(each.kind).startswith("accelerator")][-1:] == [event]
            and self.info is not None
            and self.info.accelerator == accelerator
        ):
            self.read()


@contextmanager
def coral_agent(folder: Path, port: int, bundle: Path, library: Path, usb: FakeUsb) -> Iterator[subprocess.Popen[str]]:
    config = folder / "agent.toml"
    config.write_text(
        f'[device]\nsite = "clinic"\nid = "scope-1"\n[camera]\nkind = "synthetic"\nbad_fields_ratio = 0\n'
        f'[trigger]\nmode = "continuous"\ninterval_s = 0.05\n[mqtt]\nport = {port}\n'
        f'[analysis]\nbundle = "{bundle}"\nedgetpu_library = "{library}"\nedgetpu_deadline_ms = 500\n'
    )
    command = [sys.executable, "-m", "tests.edge_tpu.run_agent", str(usb.root), "run", "--config", str(config)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_an_edge_tpu_that_fails_costs_no_reading_and_is_used_again(
    tmp_path: Path,
    broker_port: int,
    subscriber: Subscriber,
    bundle_for_coral: Path,
    library: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usb = FakeUsb(tmp_path / "sys")
    usb.plug_in()
    command = tmp_path / "command"
    monkeypatch.setenv("FAKE_EDGETPU_COMMAND", str(command))
    seen = Seen(subscriber)
    with coral_agent(tmp_path, broker_port, bundle_for_coral, library, usb) as process:
        seen.until(accelerator="edge_tpu", code=None, event="accelerator_ready")
        command.write_text("stall")
        seen.until(accelerator=None, code="edge_tpu_stalled", event="accelerator_lost")
        assert seen.checks[-1].remedy
        command.write_text("work")
        seen.until(accelerator="edge_tpu", code=None, event="accelerator_ready")
        usb.unplug()
        seen.until(accelerator=None, code="edge_tpu_missing", event="accelerator_lost")
        usb.plug_in("1a6e:089a")
        seen.until(accelerator="edge_tpu", code=None, event="accelerator_ready")
        children = psutil.Process(process.pid).children()
        assert len(children) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert not children[0].is_running()
    lost = [each for each in seen.events if each.kind == "accelerator_lost"]
    assert [each.code for each in lost] == ["edge_tpu_stalled", "edge_tpu_missing"]
