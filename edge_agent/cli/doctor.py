"""``edge-agent doctor``: tests each part by itself and says how to fix what fails."""

from __future__ import annotations

import itertools
import json
import os
import platform
import shutil
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import cv2
import psutil
import typer

from edge_agent import __version__
from edge_agent.agent import make_analyzer
from edge_agent.agent.acceleration import edge_tpu_options
from edge_agent.agent.certificates import certificate_files
from edge_agent.agent.speed_tests import SpeedTests
from edge_agent.calibration.record import last_calibration
from edge_agent.cameras import CameraPhase, CameraState, CameraSupervisor, make_camera
from edge_agent.cameras.v4l2 import BY_ID
from edge_agent.cli.arguments import expand_path
from edge_agent.cli.model_in_use import with_model_in_use
from edge_agent.cli.terminal import EXIT_FAILED, output, set_up_logging
from edge_agent.clock import clock_synchronised
from edge_agent.collection.collection import FOLDER as COLLECTION_FOLDER
from edge_agent.collection.settings import Keep
from edge_agent.collection.store import check_space
from edge_agent.config import Config, DeviceSettings, load_config, system_config
from edge_agent.config.examination import examine_config
from edge_agent.contracts import Outcome
from edge_agent.errors import (
    AuditBroken,
    CameraAbsent,
    CameraError,
    CertificateError,
    CertificateExpiring,
    CollectionError,
    ConfigDoubtful,
    EdgeAgentError,
    EdgeTpuError,
    EdgeTpuMissing,
    EdgeTpuModelMissing,
    FileUnusable,
    MachineHot,
    MachineThrottled,
    MemoryShort,
    SpeedMissed,
    SpoolError,
)
from edge_agent.events.audit_segments import FILE as AUDIT_FILE
from edge_agent.events.audit_segments import older_segments
from edge_agent.events.audit_verify import verify_audit
from edge_agent.inference.edgetpu.devices import find_devices
from edge_agent.inference.edgetpu.edge_tpu import EdgeTpu
from edge_agent.inference.runtime import runtime_name
from edge_agent.monitoring.certificates import broker_end, find_problem, read_end, worst
from edge_agent.monitoring.health import (
    ClockReading,
    clock_problem,
    disk_problem,
    memory_problem,
    power_problem,
    temperature_problem,
)
from edge_agent.monitoring.host import read_machine
from edge_agent.mqtt.address import format_address
from edge_agent.mqtt.probe import BrokerFound, probe_broker
from edge_agent.web.access.access_file import ROLES, read_access

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

_WARNINGS = (CertificateExpiring, EdgeTpuError, MachineHot, MachineThrottled, MemoryShort, SpeedMissed)
"""The agent runs all the same."""

_TRIED_OUT = {("camera", "device"), ("camera", "path")}


class State(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARN = "warn"
    """Check it; the agent runs all the same."""
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. ``code`` is ``ok`` or an error's code."""

    check: str
    state: State
    code: str
    detail: str
    remedy: str = ""


def examine(config: Config) -> Iterator[Finding]:
    """Run all checks one after the other; a failure does not stop the rest."""
    brokers: list[BrokerFound] = []
    speed = SpeedTests()
    checks: tuple[tuple[str, Callable[[Config], str]], ...] = (
        ("software", _software),
        ("runtime", _runtime),
        ("speed", lambda each: _speed(each, speed)),
        ("bundle", lambda each: _bundle(_in_use(each, speed))),
        ("edge-tpu", lambda each: _edge_tpu(_in_use(each, speed))),
        ("cameras", _cameras),
        ("camera", lambda each: _camera(_in_use(each, speed))),
        ("broker", lambda each: _broker(each, brokers.append)),
        ("page", _page),
        ("certificates", lambda each: _certificates(each, brokers)),
        ("disk", _disk),
        ("collection", _collection),
        ("audit", _audit),
        ("scale", _scale),
        ("clock", _clock),
        ("machine", _machine),
    )
    for name, check in checks:
        try:
            detail = check(config)
        except _WARNINGS as error:
            yield Finding(name, State.WARN, error.code, error.message, error.remedy)
        except EdgeAgentError as error:
            yield Finding(name, State.FAIL, error.code, error.message, error.remedy)
        except OSError as error:
            unusable = FileUnusable.from_os_error(error)
            yield Finding(name, State.FAIL, unusable.code, unusable.message, unusable.remedy)
        else:
            yield Finding(name, State.OK, "ok", detail)


def examine_file(config: Path) -> Iterator[Finding]:
    """The warnings of 'check-config', except those that other checks cover. Raises ``ConfigError``."""
    warnings = [each for each in examine_config(config) if each.is_warning and each.keys not in _TRIED_OUT]
    for problem in warnings:
        yield Finding("config", State.WARN, ConfigDoubtful.code, problem.describe(config))
    if not warnings:
        yield Finding("config", State.OK, "ok", str(config))


def _software(_config: Config) -> str:
    return (
        f"leukoscope {__version__}, Python {platform.python_version()}, OpenCV {cv2.__version__}, {platform.machine()}"
    )


def _runtime(_config: Config) -> str:
    return runtime_name()


def _in_use(config: Config, speed: SpeedTests) -> Config:
    """With the model that is in use, and what is chosen where the configuration says ``auto``."""
    return speed.settle(with_model_in_use(config))


def _speed(config: Config, speed: SpeedTests) -> str:
    configured = with_model_in_use(config)
    settled = speed.settle(configured).analysis
    choice = speed.choice(configured)
    if choice is None:
        cores = f"{settled.threads_count} {'core' if settled.threads_count == 1 else 'cores'}"
        return f"not tested: the configuration names the bundle and {cores} for a frame"
    if not choice.holds:
        raise SpeedMissed(f"Nothing is fast enough now: {choice}.")
    return f"auto chooses {choice}"


def _bundle(config: Config) -> str:
    analyzer = make_analyzer(config)
    model = analyzer.model
    head = "" if model.head is None else f" with the head {model.head.name} {model.head.version}"
    found = [_proof(f"{model.name} {model.version}{head}", "labels", analyzer.unproven_reasons)]
    beside = analyzer.cells_beside
    if beside is not None:
        found.append(_proof(f"{beside.model.name} {beside.model.version} for cells", "types", beside.unproven_reasons))
    return "; ".join(found)


def _edge_tpu(config: Config) -> str:
    options = edge_tpu_options(config.analysis)
    if options is None:
        return "off"
    devices = find_devices()
    if not devices:
        if options.required:
            raise EdgeTpuMissing("No Edge TPU is plugged in.")
        return "none plugged in; the processor runs the network"
    analyzer = make_analyzer(with_model_in_use(config))
    found = ", ".join(map(str, devices))
    model = f"the bundle {analyzer.model.name} {analyzer.model.version}"
    if not analyzer.has_compiled_model:
        if options.required:
            raise EdgeTpuModelMissing(f"There is an Edge TPU {found}, but {model} has no model for one.")
        return f"{found}; not used, as {model} has no model for one ('make coral-bundle' makes it)"
    edge_tpu = EdgeTpu(options)
    try:
        analyzer.accelerate(edge_tpu)
        edge_tpu.do_round()
        problem = edge_tpu.problem
    finally:
        edge_tpu.close()
    if problem is not None:
        # An agent that runs meanwhile has it to itself.
        raise problem
    return f"{found}; runs the network, golden fields agree"


def _proof(name: str, answers: str, unproven_reasons: tuple[str, ...]) -> str:
    verified = f"{name} verified, golden fields agree"
    if not unproven_reasons:
        return verified
    return f"{verified}; PROVISIONAL, it gives no {answers}: {' '.join(unproven_reasons)}"


def _cameras(_config: Config) -> str:
    found = [str(path) for path in sorted(BY_ID.glob("*-video-index0"))]
    if not found:
        # Without udev there are only the kernel's names.
        found = [str(path) for path in sorted(Path("/dev").glob("video*"))]
    listed = ", ".join(found) or "none"
    modules = list_pi_cameras()
    if modules is None:
        return f"USB: {listed}"
    return f"USB: {listed}; Raspberry Pi: {', '.join(modules) or 'none'}"


def list_pi_cameras() -> list[str] | None:
    """Number and model of each Raspberry Pi camera; None if picamera2 is not installed."""
    try:
        from picamera2 import Picamera2

        return [
            f"{number} ({each.get('Model', 'unknown')})" for number, each in enumerate(Picamera2.global_camera_info())
        ]
    except Exception:  # noqa: BLE001 - a library of the distribution that may fail in any way, used only for a list
        return None


def _camera(config: Config) -> str:
    stop = threading.Event()
    problems: list[EdgeAgentError] = []

    def changed(state: CameraState) -> None:
        if state.phase is CameraPhase.LOST:
            # One attempt is enough here; the agent itself keeps trying.
            stop.set()
            if state.error is not None:
                problems.append(state.error)

    started = time.monotonic()
    frame = next(
        iter(CameraSupervisor(lambda: make_camera(config.camera), config.capture, stop, changed).frames()), None
    )
    stop.set()
    if frame is None:
        raise problems[0] if problems else CameraAbsent(f"Camera {config.camera.id} delivered no frame.")
    took_s = time.monotonic() - started
    reading = make_analyzer(config).analyse(frame)
    if reading.outcome is Outcome.FAILED and reading.error is not None:
        raise CameraError(f"Camera {config.camera.id} delivered a frame that cannot be read: {reading.error.message}")
    return f"{config.camera.kind} '{config.camera.id}': first frame after {took_s:.1f} s, reading: {reading.outcome}"


def _broker(config: Config, on_found: Callable[[BrokerFound], None]) -> str:
    settings = config.mqtt
    if settings.tls is None:
        transport = "on this machine" if settings.host in LOCAL_HOSTS else "not encrypted"
    else:
        transport = "encrypted, its certificate is trusted"
    found = probe_broker(settings, config.device.site, config.device.id)
    on_found(found)
    address = format_address(settings.host, settings.port)
    problem = found.limits.problem(address)
    if problem is not None:
        raise problem
    packets = found.limits.maximum_packet_bytes
    bound = "" if packets is None else f", packets of up to {packets} bytes"
    return f"{address} answers, MQTT {found.version}, {transport}{bound}"


def _page(config: Config) -> str:
    settings = config.web
    if not settings.enabled:
        return "off"
    if settings.tls is not None:
        settings.tls.load_into(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
    if settings.access_file is None:
        return "on, for this device only, without a password"
    roles = ", ".join(name for name in ROLES if name in read_access(settings.access_file).roles)
    where = "from the network, encrypted" if settings.on_network else "for this device only"
    return f"on, {where}; can log in: {roles}"


def _certificates(config: Config, brokers: list[BrokerFound]) -> str:
    ends = [broker_end(each.certificate_end) for each in brokers if each.certificate_end is not None]
    problems: list[CertificateError] = []
    for file in certificate_files(config):
        try:
            ends.append(read_end(file))
        except CertificateError as error:
            problems.append(error)
        except ImportError:
            return "cannot be read without the extra 'web'"
    now = datetime.now(UTC)
    problem = worst([*problems, *filter(None, (find_problem(end, now) for end in ends))])
    if problem is not None:
        raise problem
    if not ends:
        return "none in use"
    return "; ".join(f"{end.title} until {end.at:%Y-%m-%d}" for end in ends)


def _disk(config: Config) -> str:
    free_bytes, state = _try_folder(config.state.folder, SpoolError)
    problem = disk_problem(free_bytes)
    if problem is not None:
        raise problem
    return f"{config.state.folder} {state}, {free_bytes / 2**30:.1f} GiB free"


def _collection(config: Config) -> str:
    settings = config.collection
    if settings.keep is Keep.NOTHING:
        return "no frames are kept"
    folder = settings.folder or config.state.folder / COLLECTION_FOLDER
    free_bytes, state = _try_folder(folder, CollectionError)
    check_space(folder, 0, lambda _folder: free_bytes)
    return f"keeps frames ('{settings.keep}'); {folder} {state}, up to {settings.max_mib / 1024:.1f} GiB"


def _try_folder(folder: Path, error: type[EdgeAgentError]) -> tuple[int, str]:
    """Free bytes, and whether the folder exists. Raises ``error`` if it cannot be written."""
    # Not created here: the agent's user could not write to a folder that root creates.
    nearest = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest) as file:
            file.write(b"\0" * 65536)
        free_bytes = shutil.disk_usage(nearest).free
    except OSError as problem:
        raise error(f"{nearest} cannot be written: {problem.strerror}.") from problem
    return free_bytes, "can be written" if nearest == folder.absolute() else "will be created when the agent starts"


def _audit(config: Config) -> str:
    path = config.state.folder / AUDIT_FILE
    if not os.path.lexists(path) and not (path.parent.is_dir() and older_segments(path)):
        return "there is no audit log yet"
    found = verify_audit(path)
    if found.set_aside:
        names = ", ".join(damaged.name for damaged in found.set_aside)
        raise AuditBroken(
            f"Damaged audit logs were renamed: {names}.",
            remedy="Compare them with the events at the broker, then move them out of the state folder.",
        )
    return f"{found.entries_count} entries, each follows from the one before"


def _scale(config: Config) -> str:
    configured = config.camera.um_per_pixel
    now = "no size of a pixel is configured" if configured is None else f"a pixel is {configured:g} µm as configured"
    try:
        last = last_calibration(config.state.folder)
    except FileUnusable as error:
        # Nothing depends on it.
        return f"{now}; the last calibration cannot be read ({error.message.rstrip('.')})"
    if last is None:
        return f"{now}; not calibrated yet ('edge-agent calibrate' measures it)"
    days = max(0, (datetime.now(UTC) - last.at).days)
    ago = {0: "today", 1: "a day ago"}.get(days, f"{days} days ago")
    if last.scale is None:
        return f"{now}; calibrated {ago}, but the size of a pixel could not be measured"
    measured = last.scale
    return (
        f"{now}; measured by {last.method} {ago}: {measured.um_per_pixel:g} µm "
        f"({measured.um_per_pixel_low:g} to {measured.um_per_pixel_high:g} µm)"
    )


def _clock(_config: Config) -> str:
    clock = ClockReading(datetime.now(UTC), clock_synchronised())
    problem = clock_problem(clock)
    if problem is not None:
        raise problem
    how = "synchronised" if clock.synchronised else "synchronisation unknown"
    return f"{clock.now:%Y-%m-%d %H:%M:%S} UTC, {how}"


def _machine(config: Config) -> str:
    found = read_machine(config.state.folder, psutil.Process())
    problem = temperature_problem(found.cpu_temperature_c) or power_problem(found.throttling) or memory_problem(found)
    if problem is not None:
        raise problem
    temperature = "temperature unknown" if found.cpu_temperature_c is None else f"{found.cpu_temperature_c:.0f} °C"
    if found.throttling is None:
        power = "power unknown"
    elif found.throttling:
        power = f"since boot: {', '.join(flag.replace('_', ' ') for flag in found.throttling)}"
    else:
        power = "power good"
    waited = "" if found.memory_pressure_pct is None else f", waited for in {found.memory_pressure_pct:.0f} % of 10 s"
    return f"{temperature}; {power}; {found.memory_available_bytes / 2**20:.0f} MiB of memory available{waited}"


def doctor(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="The agent.toml to use instead of the device's own.",
            metavar="FILE",
            parser=expand_path,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per check.")] = False,
) -> None:
    """Test each part, list the cameras, and say how to fix what fails.

    Each line begins with ok, warn or FAIL. Exits with 1 if anything failed, and with 0 if there are only warnings.
    """
    set_up_logging("error")
    config = config or system_config()
    settings = load_config(config) if config is not None else _bare_config()
    failed = False
    for finding in itertools.chain(() if config is None else examine_file(config), examine(settings)):
        failed = failed or finding.state is State.FAIL
        if as_json:
            sys.stdout.write(json.dumps(asdict(finding)) + "\n")
        else:
            _print_finding(finding)
        # Print each finding at once, because some checks take seconds.
        sys.stdout.flush()
    if failed:
        raise typer.Exit(EXIT_FAILED)


def _print_finding(finding: Finding) -> None:
    word, colour = {State.OK: ("ok", "green"), State.WARN: ("warn", "yellow"), State.FAIL: ("FAIL", "red")}[
        finding.state
    ]
    output.print(f"[{colour}]{word:<4}[/] {finding.check:<10} ", end="")
    code = "" if finding.state is State.OK else f"{finding.code}: "
    output.print(f"{code}{finding.detail}", markup=False)
    if finding.remedy:
        output.print(f"{'':<16}{finding.remedy}", markup=False)


def _bare_config() -> Config:
    """The configuration of a device with a USB camera and a broker on the same machine."""
    return Config.model_validate({"device": DeviceSettings(site="local", id="local"), "camera": {"kind": "v4l2"}})
