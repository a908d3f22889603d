"""``edge-agent doctor``: try each part by itself and say what to do."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.agent import make_analyzer
from edge_agent.cameras import CameraPhase, CameraState, CameraSupervisor, make_camera
from edge_agent.cli.arguments import expand_path
from edge_agent.cli.terminal import EXIT_FAILED, output, set_up_logging
from edge_agent.clock import clock_synchronised
from edge_agent.config import Config, DeviceSettings, load_config, system_config
from edge_agent.contracts import Outcome
from edge_agent.errors import (
    AuditBroken,
    CameraAbsent,
    CameraError,
    EdgeAgentError,
    SpoolError,
)
from edge_agent.events.audit_segments import FILE as AUDIT_FILE
from edge_agent.events.audit_segments import older_segments
from edge_agent.events.audit_verify import verify_audit
from edge_agent.inference.runtime import runtime_name
from edge_agent.monitoring.health import ClockReading, clock_problem, disk_problem
from edge_agent.mqtt.address import format_address
from edge_agent.mqtt.probe import probe_broker
from edge_agent.mqtt.secret_files import exposed_secrets

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. ``code`` is ``ok`` or an error's."""

    check: str
    code: str
    detail: str
    remedy: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing needs to be done."""
        return self.code == "ok"


def examine(config: Config) -> Iterator[Finding]:
    """Run all checks, one after the other; none stops the rest."""
    checks: tuple[tuple[str, Callable[[Config], str]], ...] = (
        ("runtime", _runtime),
        ("bundle", _bundle),
        ("camera", _camera),
        ("broker", _broker),
        ("disk", _disk),
        ("audit", _audit),
        ("clock", _clock),
    )
    for name, check in checks:
        try:
            detail = check(config)
        except EdgeAgentError as error:
            yield Finding(name, error.code, error.message, error.remedy)
        else:
            yield Finding(name, "ok", detail)
    for exposed in exposed_secrets(config.mqtt):
        yield Finding("secrets", exposed.code, exposed.message, exposed.remedy)


def _runtime(_config: Config) -> str:
    return runtime_name()


def _bundle(config: Config) -> str:
    model = make_analyzer(config).model
    return f"{model.name} {model.version} verified, golden fields agree"


def _camera(config: Config) -> str:
    stop = threading.Event()
    problems: list[EdgeAgentError] = []

    def changed(state: CameraState) -> None:
        if state.phase is CameraPhase.LOST:
            # One try is enough here; the agent itself goes on trying.
            stop.set()
            if state.error is not None:
                problems.append(state.error)

    started = time.monotonic()
    frame = next(
        iter(CameraSupervisor(lambda: make_camera(config.camera), config.capture, stop, changed).frames()), None
    )
    stop.set()
    if frame is None:
        raise problems[0] if problems else CameraAbsent(f"Camera {config.camera.id} has no frame.")
    took_s = time.monotonic() - started
    reading = make_analyzer(config).analyse(frame)
    if reading.outcome is Outcome.FAILED and reading.error is not None:
        raise CameraError(f"Camera {config.camera.id} gave a frame that cannot be read: {reading.error.message}")
    return f"{config.camera.kind} '{config.camera.id}': first frame after {took_s:.1f} s, reading: {reading.outcome}"


def _broker(config: Config) -> str:
    settings = config.mqtt
    if settings.tls is None:
        transport = "on this machine" if settings.host in LOCAL_HOSTS else "not encrypted"
    else:
        transport = "encrypted, its certificate is trusted"
    found = probe_broker(settings, config.device.site, config.device.id)
    address = format_address(settings.host, settings.port)
    problem = found.limits.problem(address)
    if problem is not None:
        raise problem
    packets = found.limits.maximum_packet_bytes
    bound = "" if packets is None else f", packets of up to {packets} bytes"
    return f"{address} answers, MQTT {found.version}, {transport}{bound}"


def _disk(config: Config) -> str:
    folder = config.state.folder
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 65536)
        free_bytes = shutil.disk_usage(folder).free
    except OSError as error:
        raise SpoolError(f"{folder} cannot be written: {error.strerror}.") from error
    problem = disk_problem(free_bytes)
    if problem is not None:
        raise problem
    return f"{folder} can be written, {free_bytes / 2**30:.1f} GiB free"


def _audit(config: Config) -> str:
    path = config.state.folder / AUDIT_FILE
    if not os.path.lexists(path) and not (path.parent.is_dir() and older_segments(path)):
        return "there is no audit log yet"
    found = verify_audit(path)
    if found.set_aside:
        names = ", ".join(damaged.name for damaged in found.set_aside)
        raise AuditBroken(
            f"Damaged audit logs were set aside: {names}.",
            remedy="Compare them with the events at the broker, then move them out of the state folder.",
        )
    return f"{found.entries_count} entries, each follows from the one before"


def _clock(_config: Config) -> str:
    clock = ClockReading(datetime.now(UTC), clock_synchronised())
    problem = clock_problem(clock)
    if problem is not None:
        raise problem
    how = "synchronised" if clock.synchronised else "unknown whether it is synchronised"
    return f"{clock.now:%Y-%m-%d %H:%M:%S} UTC, {how}"


def doctor(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help="The agent.toml to go by; else the device's own.", metavar="FILE", parser=expand_path
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per check.")] = False,
) -> None:
    """Try runtime, bundle, camera, broker, disk and clock, and say what to do. Exits with 1 if anything is wrong."""
    set_up_logging("error")
    config = config or system_config()
    settings = load_config(config) if config is not None else _bare_config()
    findings: list[Finding] = []
    for finding in examine(settings):
        findings.append(finding)
        if as_json:
            record = {"check": finding.check, "code": finding.code, "detail": finding.detail, "remedy": finding.remedy}
            sys.stdout.write(json.dumps(record) + "\n")
            continue
        mark = "[green]ok  [/green]" if finding.ok else "[red]FAIL[/red]"
        code = "" if finding.ok else f"{finding.code}: "
        output.print(f"{mark} {finding.check:<8} ", end="")
        output.print(f"{code}{finding.detail} {finding.remedy}".rstrip(), markup=False)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def _bare_config() -> Config:
    """What a device would run with nothing but a USB camera and a broker on the same machine."""
    return Config.model_validate({"device": DeviceSettings(site="local", id="local"), "camera": {"kind": "v4l2"}})
