"""``edge-agent doctor``: try each part by itself and say what to do."""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.agent import make_analyzer
from edge_agent.cameras import CameraPhase, CameraState, CameraSupervisor, make_camera
from edge_agent.config import Config
from edge_agent.contracts import Outcome
from edge_agent.errors import (
    BrokerRefused,
    BrokerUnreachable,
    CameraAbsent,
    CameraError,
    ClockUnset,
    DiskLow,
    EdgeAgentError,
)
from edge_agent.inference.runtime import runtime_name
from edge_agent.messaging.publisher import UNSUPPORTED_PROTOCOL_VERSION
from edge_agent.results import clock_synchronised

MIN_FREE_MIB = 200
EARLIEST_YEAR = 2026
BROKER_DEADLINE_S = 5.0


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
        ("clock", _clock),
    )
    for name, check in checks:
        try:
            detail = check(config)
        except EdgeAgentError as error:
            yield Finding(name, error.code, error.message, error.advice)
        else:
            yield Finding(name, "ok", detail)


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
    answers: queue.SimpleQueue[ReasonCode] = queue.SimpleQueue()
    version = MQTTProtocolVersion.MQTTv311 if settings.version == "3.1.1" else MQTTProtocolVersion.MQTTv5
    # Another client id than the agent's: the broker would throw a running agent out.
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"doctor-{config.device.id}", protocol=version)
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.put(reason)
    password = settings.password()
    if settings.username is not None:
        client.username_pw_set(settings.username, None if password is None else password.get_secret_value())
    address = f"{settings.host}:{settings.port}"
    try:
        client.connect(settings.host, settings.port, keepalive=settings.keepalive_s)
        client.loop_start()
        reason = answers.get(timeout=BROKER_DEADLINE_S)
    except (OSError, queue.Empty) as error:
        raise BrokerUnreachable(f"Nobody answers at {address}.") from error
    finally:
        client.disconnect()
        client.loop_stop()
    if reason.is_failure and not (settings.version == "auto" and reason.value == UNSUPPORTED_PROTOCOL_VERSION):
        raise BrokerRefused(f"The broker at {address} refused the connection: {reason}.")
    return f"{address} answers"


def _disk(_config: Config) -> str:
    free_mib = shutil.disk_usage(Path.cwd()).free / 2**20
    if free_mib < MIN_FREE_MIB:
        raise DiskLow(f"{free_mib:.0f} MiB are free, {MIN_FREE_MIB} MiB are needed.")
    return f"{free_mib / 1024:.1f} GiB free"


def _clock(_config: Config) -> str:
    now = datetime.now(UTC)
    synchronised = clock_synchronised()
    if now.year < EARLIEST_YEAR or synchronised is False:
        raise ClockUnset(f"The clock says {now:%Y-%m-%d %H:%M} UTC and is not synchronised.")
    how = "synchronised" if synchronised else "synchronisation unknown"
    return f"{now:%Y-%m-%d %H:%M:%S} UTC, {how}"
