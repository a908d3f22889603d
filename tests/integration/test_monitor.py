"""Health, metrics, events and the Prometheus endpoint of a real agent."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from edge_agent.cameras import Camera
from edge_agent.cli.local_broker import free_port
from edge_agent.contracts import CheckState, EventKind, Health, Metrics
from edge_agent.errors import CameraLost
from edge_agent.testing.cameras import ScriptedCamera
from tests.agents import configuration, running
from tests.integration.test_cli import agent as command
from tests.integration.test_cli import running_agent, write_config
from tests.mqtt import Subscriber


def test_health_is_retained_and_told_again_when_it_changes(broker_port: int, subscriber: Subscriber) -> None:
    def make() -> Camera:
        return ScriptedCamera(on_open=CameraLost("unplugged."))

    with running(configuration(broker_port), camera=make):
        health = subscriber.next("health").body()
        while {check.name: check.code for check in health.checks}["camera"] != "camera_lost":
            health = subscriber.next("health").body()
        assert isinstance(health, Health)
        assert health.state is CheckState.DEGRADED
        assert next(check for check in health.checks if check.name == "camera").remedy
        late = Subscriber(broker_port)
        assert late.next("health").retained
        late.close()


def test_metrics_tell_latency_rates_spool_and_machine(
    broker_port: int, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.monitoring.monitor.METRICS_INTERVAL_S", 0.2)
    monkeypatch.setattr("edge_agent.monitoring.monitor.TICK_S", 0.1)
    with running(configuration(broker_port)) as agent:
        metrics = subscriber.next("metrics").body()
        while not metrics.spool.acknowledged_count or "inference" not in metrics.latency_ms:
            metrics = subscriber.next("metrics").body()
        assert isinstance(metrics, Metrics)
        assert metrics.session == agent.session
        assert metrics.reading_rate_hz > 0
        assert metrics.frame_rate_hz > 0
        assert metrics.latency_ms["total"].p50_ms <= metrics.latency_ms["total"].p99_ms
        assert metrics.machine.resident_bytes > 1e7


def test_start_and_stop_are_told_and_stand_in_the_audit_log(
    tmp_path: Path, broker_port: int, subscriber: Subscriber
) -> None:
    config = configuration(broker_port, state={"folder": str(tmp_path / "state")})
    with running(config):
        started = subscriber.next("event").body()
    stopped = subscriber.next("event").body()
    assert (started.kind, stopped.kind) == (EventKind.STARTED, EventKind.STOPPED)
    assert (started.audit.seq, stopped.audit.seq) == (0, 1)
    lines = (tmp_path / "state" / "audit.log").read_text().splitlines()
    assert [line[:64] for line in lines] == [started.audit.sha256, stopped.audit.sha256]


def test_prometheus_reads_the_same_figures(
    tmp_path: Path, broker_port: int, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    config = write_config(tmp_path, broker_port)
    config.write_text(config.read_text() + f"\n[prometheus]\nenabled = true\nport = {port}\n")
    with running_agent(config):
        subscriber.until_state("ready")
        page = httpx2.get(f"http://127.0.0.1:{port}/metrics").text
    assert 'leukoscope_check_ok{check="camera",code="",device="scope-1",site="clinic"} 1.0' in page


def test_the_state_can_be_looked_at_from_the_command_line(
    tmp_path: Path, broker_port: int, subscriber: Subscriber, state_folder: Path
) -> None:
    config = write_config(tmp_path, broker_port)
    with running_agent(config):
        subscriber.until_state("ready")
        subscriber.next("result")
        status = command("spool", "status", "--config", config)
        assert status.returncode == 0
        assert "accepted_count" in status.stdout
        busy = command("spool", "purge", "--yes", "--config", config)
        assert busy.returncode == 1
        assert "spool_busy" in busy.stderr
    verified = command("audit", "verify")
    assert verified.returncode == 0
    assert "ok" in verified.stdout
    log = state_folder / "audit.log"
    log.write_text(log.read_text().replace("leukoscope", "leukoscopy", 1))
    broken = command("audit", "verify")
    assert broken.returncode == 1
    assert "audit_broken" in broken.stderr
    assert "line 1 " in broken.stderr


def test_what_waits_can_be_exported_and_purged(tmp_path: Path) -> None:
    config = configuration(free_port(), state={"folder": str(tmp_path / "state")})
    with running(config, max_readings=3) as agent:
        assert agent.wait(20)
    written = write_config(tmp_path, 1)
    written.write_text(written.read_text() + f'\n[state]\nfolder = "{tmp_path / "state"}"\n')
    exported = command("spool", "export", "--config", written)
    assert exported.returncode == 0
    assert exported.stdout.count('/result/camera0"') == 3
    assert exported.stdout.count('/event"') == 2
    purged = command("spool", "purge", "--yes", "--config", written)
    assert "5 messages deleted" in purged.stdout
    assert command("spool", "export", "--config", written).stdout == ""
    written.write_text(written.read_text().replace(str(tmp_path / "state"), str(tmp_path / "none")))
    nothing = command("spool", "status", "--config", written)
    assert nothing.returncode == 1
    assert "spool_failed" in nothing.stderr
