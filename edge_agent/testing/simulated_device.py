"""A device without camera or model: real spool, real publisher, real messages, made-up readings.

For dashboards, collectors and load tests. Many fit into one process; one by itself ends cleanly at SIGTERM::

    python -m edge_agent.testing.simulated_device --broker 127.0.0.1:1883 --site north-clinic --device scope-1

Whatever it publishes says ``demonstration``.
"""

from __future__ import annotations

import heapq
import platform
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from pydantic_core import to_json
from uuid_utils.compat import uuid7

from edge_agent import __version__
from edge_agent.clock import boot_id, clock_synchronised
from edge_agent.commands.handlers import Data
from edge_agent.commands.parsing import parse_request, printable, request_id
from edge_agent.contracts import (
    Answer,
    AnswerState,
    Camera,
    CaptureMetrics,
    Check,
    CheckState,
    Clock,
    Command,
    CommandName,
    ErrorReport,
    Event,
    EventKind,
    Health,
    Info,
    MachineMetrics,
    Metrics,
    ModelReported,
    OpenSpecimen,
    Percentiles,
    Report,
    Result,
    SetSpecimen,
    Software,
    Specimen,
    SpoolMetrics,
    StatusState,
    Topics,
    schema_ids,
)
from edge_agent.errors import (
    CommandInvalid,
    EdgeAgentError,
    SpecimenMissing,
    SpecimenOpen,
)
from edge_agent.mqtt import MqttSettings, Publisher, Request
from edge_agent.specimens.tally import Tally
from edge_agent.spool import MemorySpool, Message, Spool, SpoolLimits, SqliteSpool
from edge_agent.testing.simulated_readings import CAPTURE, LABELS, MODEL, SimulatedReadings

CAMERA = "camera0"

HEALTH_INTERVAL_S = 300.0
"""This and the next three are the agent's own, in ``edge_agent.monitoring``, which loads NumPy and OpenCV."""
HEALTH_EXPIRY_S = 900
METRICS_INTERVAL_S = 30.0
LAST_INTERVAL_S = 10.0

MAX_BYTES = 256 * 2**20
MAX_AGE_S = 90 * 86400.0

_STOPPED_AT_ONCE = 16
"""Threads that stop devices: each waits for the broker to acknowledge its goodbye."""

_FLUSH_S = 10.0
"""A stop waits this long for the disk."""

_LOOK_S = 0.1
"""Between two looks whether everything has been acknowledged."""


@dataclass(frozen=True, slots=True)
class SimulatedDeviceSummary:
    """What a run has published. The counts of the spool include events and reports, and earlier runs in its folder."""

    site: str
    device: str
    session: str
    results_count: int
    """Results of this run; they are numbered from ``first_seq`` to ``last_seq`` without gaps."""
    first_seq: int | None
    last_seq: int | None
    refused_results_count: int
    """Results that the spool refused; their numbers are used up."""
    accepted_count: int
    acknowledged_count: int
    refused_count: int
    dropped_count: int
    quarantined_count: int
    waiting_count: int


class SimulatedDevice:
    """One device. Two threads, as many as the real one has for the same work; readings are drawn when asked for."""

    def __init__(
        self,
        topics: Topics,
        broker: MqttSettings,
        *,
        folder: Path | None = None,
        seed: int = 0,
        commit_delay_s: float = 0.2,
        replay_rate_hz: float = 20.0,
    ) -> None:
        """``folder`` keeps the spool; without one it is in memory. The last two are those of ``[spool]``.

        Raises ``SpoolError`` and ``ConfigError`` as the agent does.
        """
        self.topics = topics
        self.session: UUID = uuid7()
        self._began_s = time.monotonic()
        self._readings = SimulatedReadings(seed)
        self._lock = threading.RLock()
        """Guards what follows: readings come from the caller's thread, commands from the publisher's."""
        self._seq = 0
        self._refused_results_count = 0
        self._paused = False
        self._tally: Tally | None = None
        self._outcomes: Counter[Any] = Counter()
        self._reasons: Counter[str] = Counter()
        self._labels: Counter[str] = Counter()
        self._metrics_before = (self._began_s, 0)
        self._metrics_at = self._began_s + METRICS_INTERVAL_S
        self._health_at = self._began_s + HEALTH_INTERVAL_S
        self._last_at = self._specimen_at = 0.0
        self.spool: Spool
        if folder is None:
            self.spool = MemorySpool(MAX_BYTES)
        else:
            limits = SpoolLimits(max_bytes=MAX_BYTES, max_age_s=MAX_AGE_S, commit_delay_s=commit_delay_s)
            self.spool = SqliteSpool(folder, limits, on_change=lambda: self.publisher.wake())  # noqa: PLW0108 - built below
        self.publisher = Publisher(
            broker,
            topics,
            self.spool,
            self.session,
            replay_rate_hz=replay_rate_hz,
            on_request=self._on_request,
        )
        self._durable = folder is not None

    def start(self) -> None:
        """Start to connect, and return at once."""
        self.publisher.set_retained(self.topics.info, self._info().to_json())
        self.publisher.set_retained(
            self.topics.model_reported, ModelReported(**self._who(), at=datetime.now(UTC), model=MODEL).to_json()
        )
        self._publish_health()
        self._publish_specimen()
        self.publisher.set_status(StatusState.READY)
        self.record(EventKind.STARTED, "A simulated device has started.")
        self.publisher.start()

    def read(self) -> Result | None:
        """Take a reading and spool its result; None while the device is paused. What else is due is published, too."""
        with self._lock:
            self._publish_due()
            return None if self._paused else self._take_reading()

    def record(self, kind: EventKind, message: str, **details: str | float | bool | None) -> Event:
        """Spool an event."""
        event = Event(
            **self._who(),
            id=uuid7(),
            at=datetime.now(UTC),
            kind=kind,
            code=None,
            message=message,
            details=details,
            audit=None,
        )
        self._spool(Message(event.id, self.topics.event, event.to_json(), essential=True))
        return event

    def set_specimen(self, specimen: Specimen, wished_fields_count: int | None = None) -> None:
        """From the next reading on, readings belong to this slide. Raises ``SpecimenOpen``."""
        with self._lock:
            if self._tally is not None:
                raise SpecimenOpen("A slide is open.")
            self._tally = Tally(specimen=specimen, began_at=datetime.now(UTC), wished_fields_count=wished_fields_count)
            self.record(EventKind.SPECIMEN_SET, "A slide was set.", specimen=specimen.id, slide=specimen.slide)
            self._publish_specimen()

    def finish_specimen(self) -> Report:
        """Close the slide and spool its report. Raises ``SpecimenMissing``."""
        with self._lock:
            if self._tally is None:
                raise SpecimenMissing("No slide is open.")
            report = self._tally.report(topics=self.topics, session=self.session, model=MODEL)
            self._tally = None
            self._spool(Message(report.id, self.topics.report, report.to_json()))
            self._publish_specimen()
            return report

    def publish_metrics(self) -> None:
        """Publish the figures now, which ``read`` does every 30 seconds."""
        with self._lock:
            now = time.monotonic()
            self._metrics_at = now + METRICS_INTERVAL_S
            self.publisher.send_metrics(self._metrics(now).to_json())

    def wait_until_acknowledged(self, timeout_s: float) -> bool:
        """Wait until the broker has everything. False after the time-out."""
        until = time.monotonic() + timeout_s
        self.spool.flush(timeout_s)
        while (stats := self.spool.stats()).waiting_count or stats.in_flight_count:
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK_S)
        return True

    def stop(self) -> SimulatedDeviceSummary:
        """Say goodbye, close the spool, and sum up."""
        self.record(EventKind.STOPPED, "The simulated device stops.")
        self.spool.flush(_FLUSH_S)
        self.publisher.stop()
        self.spool.close()
        return self.summary()

    def summary(self) -> SimulatedDeviceSummary:
        """What was published so far."""
        stats = self.spool.stats()
        return SimulatedDeviceSummary(
            site=self.topics.site,
            device=self.topics.device,
            session=str(self.session),
            results_count=self._seq,
            first_seq=0 if self._seq else None,
            last_seq=self._seq - 1 if self._seq else None,
            refused_results_count=self._refused_results_count,
            accepted_count=stats.accepted_count,
            acknowledged_count=stats.acknowledged_count,
            refused_count=stats.refused_count,
            dropped_count=stats.dropped_count,
            quarantined_count=stats.quarantined_count,
            waiting_count=stats.waiting_count + stats.in_flight_count,
        )

    def _take_reading(self) -> Result:
        result = Result(
            **self._who(),
            **self._readings.draw(),
            demonstration=True,
            id=uuid7(),
            camera=CAMERA,
            seq=self._seq,
            captured_at=datetime.now(UTC),
            clock=Clock(synchronised=clock_synchronised(), boot_id=boot_id(), monotonic_ns=time.monotonic_ns()),
            source="simulated",
            specimen=None if self._tally is None else self._tally.next_field(),
            model=MODEL,
            software=f"leukoscope {__version__}",
            capture=CAPTURE,
        )
        self._seq += 1
        if self._tally is not None:
            self._tally = self._tally.counting(result, LABELS)
        self._outcomes[result.outcome] += 1
        self._reasons.update(
            [str(reason)] if (reason := result.reason or (result.error and result.error.code)) is not None else []
        )
        self._labels.update([] if result.label is None else [result.label])
        payload = result.to_json()
        self._refused_results_count += not self._spool(Message(result.id, self.topics.result(CAMERA), payload))
        now = time.monotonic()
        if now >= self._last_at:
            self._last_at = now + LAST_INTERVAL_S
            self.publisher.set_retained(self.topics.last, payload)
        return result

    def _spool(self, message: Message) -> bool:
        try:
            self.spool.append(message)
        except EdgeAgentError:
            return False
        if not self._durable:
            # The durable spool wakes the publisher once the message is committed.
            self.publisher.wake()
        return True

    def _publish_due(self) -> None:
        now = time.monotonic()
        if now >= self._metrics_at:
            self.publish_metrics()
        if now >= self._health_at:
            self._health_at = now + HEALTH_INTERVAL_S
            self._publish_health()
        if self._tally is not None and now >= self._specimen_at:
            self._publish_specimen()

    def _publish_health(self) -> None:
        checks = tuple(Check(name=name, state=CheckState.OK) for name in ("camera", "broker", "spool", "disk"))
        health = Health(**self._who(), at=datetime.now(UTC), state=CheckState.OK, checks=checks)
        self.publisher.set_retained(self.topics.health, health.to_json(), expiry_s=HEALTH_EXPIRY_S)

    def _publish_specimen(self) -> None:
        self._specimen_at = time.monotonic() + LAST_INTERVAL_S
        tally = self._tally
        counted = {} if tally is None else tally.model_dump(include=set(OpenSpecimen.model_fields))
        shown = OpenSpecimen(
            **{"specimen": None, **counted, "demonstration": tally is not None}, **self._who(), at=datetime.now(UTC)
        )
        self.publisher.set_retained(self.topics.specimen, shown.to_json())

    def _info(self) -> Info:
        return Info(
            **self._who(),
            demonstration=True,
            started_at=datetime.now(UTC),
            machine=platform.machine(),
            software=Software(leukoscope=__version__, python=platform.python_version(), opencv="none", runtime="none"),
            cameras=(Camera(id=CAMERA, kind="simulated"),),
            model=MODEL,
            schemas=schema_ids(),
        )

    def _metrics(self, now: float) -> Metrics:
        before_s, before_count = self._metrics_before
        self._metrics_before = now, self._seq
        count = self._seq - before_count
        rate_hz = round(count / max(now - before_s, 1e-9), 3)
        return Metrics(
            **self._who(),
            at=datetime.now(UTC),
            uptime_s=round(now - self._began_s, 1),
            readings_count=self._seq,
            outcomes_count=dict(self._outcomes),
            reasons_count=dict(self._reasons),
            labels_count=dict(self._labels),
            reading_rate_hz=rate_hz,
            frame_rate_hz=rate_hz,
            latency_ms={"total": Percentiles(p50_ms=60.0, p95_ms=80.0, p99_ms=86.0, samples_count=count)},
            capture=CaptureMetrics(frames_count=self._seq, superseded_count=0, identical_count=0, reopened_count=0),
            spool=SpoolMetrics(**asdict(self.spool.stats())),
            machine=MachineMetrics(
                cpu_temperature_c=48.5,
                throttling=(),
                cpu_use_pct=21.0,
                resident_bytes=140_000_000,
                memory_available_bytes=1_200_000_000,
                disk_free_bytes=20_000_000_000,
                written_bytes=None,
                open_files_count=24,
            ),
        )

    def _who(self) -> dict[str, Any]:
        return {"site": self.topics.site, "device": self.topics.device, "session": self.session}

    def _on_request(self, request: Request) -> None:
        if request.retained:
            return
        identity, state, error, data = None, AnswerState.DONE, None, {}
        try:
            parsed = parse_request(request)
            identity = parsed.command.id
            with self._lock:
                data = self._carry_out(parsed.name, parsed.command)
        except EdgeAgentError as problem:
            identity = identity or request_id(request.payload)
            state, error = AnswerState.REFUSED, ErrorReport.from_error(problem)
        answer = Answer(
            **self._who(),
            id=identity,
            command=printable(request.command),
            at=datetime.now(UTC),
            state=state,
            error=error,
            data=data,
        )
        self.publisher.answer(request, answer.to_json())

    def _carry_out(self, name: CommandName, command: Command) -> Data:
        """Data of the answer. Raises ``EdgeAgentError`` for what a simulated device cannot do."""
        match name:
            case CommandName.PAUSE | CommandName.RESUME:
                self._paused = name is CommandName.PAUSE
                self.publisher.set_status(StatusState.SLEEPING if self._paused else StatusState.READY)
                self.record(EventKind.PAUSED if self._paused else EventKind.RESUMED, f"The command was '{name}'.")
                return {}
            case CommandName.CAPTURE:
                result = self._take_reading()
                return {"result": str(result.id), "seq": result.seq, "outcome": result.outcome, "label": result.label}
            case CommandName.SET_SPECIMEN if isinstance(command, SetSpecimen):
                self.set_specimen(Specimen(id=command.specimen, slide=command.slide), command.fields_count)
                return {"specimen": command.specimen, "slide": command.slide, "fields_count": command.fields_count}
            case CommandName.FINISH_SPECIMEN:
                report = self.finish_specimen()
                return {"report": str(report.id), "readings_count": report.readings_count}
            case _:
                raise CommandInvalid(f"A simulated device does not carry out '{name}'.")


def run(
    devices: Sequence[SimulatedDevice],
    *,
    rate_hz: float,
    count: int | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Take readings of all devices at this rate each, spread evenly, until each has ``count`` or ``stop`` is set.

    A process that cannot keep up takes them as fast as it can; it does not leave any out.
    """
    stopped = stop or threading.Event()
    began = time.monotonic()
    due = [(began + number / (rate_hz * len(devices)), number, 0) for number in range(len(devices))]
    while due:
        moment, number, taken = due[0]
        if stopped.wait(max(0.0, moment - time.monotonic())):
            return
        devices[number].read()
        if count is not None and taken + 1 >= count:
            heapq.heappop(due)
        else:
            heapq.heapreplace(due, (moment + 1 / rate_hz, number, taken + 1))


def stop_all(devices: Iterable[SimulatedDevice]) -> list[SimulatedDeviceSummary]:
    """Stop several devices side by side."""
    with ThreadPoolExecutor(_STOPPED_AT_ONCE) as executor:
        return list(executor.map(SimulatedDevice.stop, devices))


def main(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    broker: Annotated[str, typer.Option(help="HOST:PORT of the broker.")] = "127.0.0.1:1883",
    site: Annotated[str, typer.Option(help="Site of the device.")] = "north-clinic",
    device: Annotated[str, typer.Option(help="Id of the device; with --devices, of 'DEVICE-1' and so on.")] = "scope-1",
    devices: Annotated[int | None, typer.Option(min=1, help="Number of devices in this process.")] = None,
    rate_hz: Annotated[float, typer.Option(min=0.001, help="Results a second, of each device.")] = 1.0,
    count: Annotated[int | None, typer.Option(min=1, help="Results of each device. Default: until SIGTERM.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed draws the same readings.")] = 0,
    state: Annotated[Path | None, typer.Option(help="Folder of the spools. Default: in memory.")] = None,
    username: Annotated[str | None, typer.Option(help="At the broker; the password as for the agent.")] = None,
    mqtt: Annotated[
        list[str] | None, typer.Option(help="A setting of [mqtt], such as heartbeat_s=5; may be repeated.")
    ] = None,
    drain_s: Annotated[float, typer.Option(min=0, help="Wait this long for the last acknowledgements.")] = 30.0,
) -> None:
    """Run simulated devices. One JSON object per device is printed at the end, on one line each."""
    host, _, port = broker.rpartition(":")
    settings = MqttSettings.model_validate(
        {"host": host, "port": port, "username": username, **dict(each.split("=", 1) for each in mqtt or ())}
    )
    names = [device] if devices is None else [f"{device}-{number}" for number in range(1, devices + 1)]
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    with ExitStack() as closing:
        fleet: list[SimulatedDevice] = []
        closing.callback(lambda: _print(stop_all(fleet)))
        for number, name in enumerate(names):
            folder = None if state is None else state / name
            fleet.append(SimulatedDevice(Topics(site, name), settings, folder=folder, seed=seed + number))
            fleet[-1].start()
        run(fleet, rate_hz=rate_hz, count=count, stop=stop)
        until = time.monotonic() + (drain_s if not stop.is_set() else 0.0)
        for running in fleet:
            running.wait_until_acknowledged(max(0.0, until - time.monotonic()))


def _print(summaries: Iterable[SimulatedDeviceSummary]) -> None:
    for summary in summaries:
        sys.stdout.write(to_json(summary).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    typer.run(main)
