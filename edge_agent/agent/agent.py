"""Wires the parts and owns their threads: start, stop, reload."""

from __future__ import annotations

import contextlib
import logging
import platform
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import cv2
import psutil
from uuid_utils.compat import uuid7

from edge_agent import __version__
from edge_agent.acquisition.pipeline import AnalysisPipeline, PipelineCallbacks
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import Reading
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras import Camera, CameraPhase, CameraState, make_camera
from edge_agent.clock import clock_synchronised
from edge_agent.commands.dispatcher import CommandDispatcher
from edge_agent.commands.handlers import make_actions
from edge_agent.config import Config
from edge_agent.contracts import Camera as CameraInfo
from edge_agent.contracts import (
    Check,
    EventKind,
    Info,
    Metrics,
    ModelReported,
    Report,
    Result,
    Software,
    Specimen,
    StatusState,
    Topics,
    schema_ids,
)
from edge_agent.errors import (
    AgentPaused,
    CameraTimeout,
    ConfigError,
    EdgeAgentError,
    SpecimenMissing,
    SpecimenOpen,
)
from edge_agent.events.recorder import EventRecorder
from edge_agent.inference import Classifier, load_bundle
from edge_agent.monitoring.health import HealthInputs, clock_problem
from edge_agent.monitoring.host import read_machine
from edge_agent.monitoring.latency import LatencyMeter
from edge_agent.monitoring.monitor import HealthMonitor, Sources
from edge_agent.mqtt import Publisher, Request
from edge_agent.specimens.tally import NOTE, Tally
from edge_agent.spool import MemorySpool, Message, Spool, SpoolLimits, SqliteSpool

log = logging.getLogger(__name__)

CAPTURE_DEADLINE_S = 30.0
DURABLE_S = 10.0
"""So long a stop waits for the disk."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Since the agent began. Every reading is accepted by the spool or refused by it."""

    readings_count: int
    refused_count: int


def make_analyzer(config: Config) -> Analyzer:
    """Load, verify and try out what the configuration names. Raises ``BundleError`` or ``RuntimeMissing``."""
    classifier = Classifier(load_bundle(config.analysis.bundle), threads=config.analysis.threads_count)
    classifier.verify_golden()
    return Analyzer(
        classifier,
        config.quality,
        um_per_pixel=config.camera.um_per_pixel,
        max_pixels=round(config.analysis.max_image_megapixels * 1e6),
    )


class Agent:
    """A device: one camera, one analyzer, one spool, one publisher.

    The camera has a thread of its own, in which only the newest frame waits; the analysis thread takes frames,
    judges them and appends results to the spool; the publisher's thread empties the spool; the dispatcher's thread
    carries commands out, and the monitor's thread does what is due by the clock.
    """

    def __init__(
        self,
        config: Config,
        *,
        camera: Callable[[], Camera] | None = None,
        on_result: Callable[[Result, Reading], None] | None = None,
        on_checks: Callable[[tuple[Check, ...]], None] = lambda _checks: None,
        on_metrics: Callable[[Metrics], None] = lambda _metrics: None,
        max_readings: int | None = None,
    ) -> None:
        """Load the bundle and open the spool; nothing else runs yet.

        Raises ``BundleError``, ``RuntimeMissing``, ``ConfigError``, ``SpoolError``.
        ``camera`` replaces the configured one (for tests). ``on_result`` is called in the analysis thread, the other
        two in that of the monitor. After ``max_readings`` the agent finishes by itself.
        """
        self._config = config
        self._make_camera = camera or (lambda: make_camera(self._config.camera))
        self._on_result = on_result
        self._on_checks = on_checks
        self._on_metrics = on_metrics
        self._max_readings = max_readings
        self.session: UUID = uuid7()
        self._started_at = datetime.now(UTC)
        self._results = ResultMaker(config.device.id, self.session)
        self._finished = threading.Event()
        self._failure: BaseException | None = None
        self._camera_error: EdgeAgentError | None = None
        self._checks: tuple[Check, ...] = ()
        self._streaming = False
        self._paused = False
        self._readings = 0
        self._refused = 0
        self._meter = LatencyMeter()
        self._process = psutil.Process()
        self._control = threading.RLock()
        self._counting = threading.Lock()
        self._captures: queue.SimpleQueue[Future[Result]] = queue.SimpleQueue()
        self._spool_code: str | None = None
        # The spool's thread is there before those whom it tells.
        self._wake: Callable[[], None] = lambda: None
        self._wake_monitor: Callable[[], None] = lambda: None
        self._analyzer = make_analyzer(config)
        self._topics = Topics(config.device.site, config.device.id)
        self._folder = config.state.folder
        self._spool = self._open_spool()
        try:
            self._make_parts()
        except BaseException:
            # Whoever tries again in this process must find the spool free.
            self._spool.close()
            raise

    def _make_parts(self) -> None:
        """What hangs on the spool; nothing runs yet. Raises ``ConfigError``."""
        tally = self._spool.state_entries(NOTE).get(NOTE)
        self._tally = None if tally is None else Tally.model_validate_json(tally)
        self._events = EventRecorder(self._folder, self._spool, self._topics, self.session)
        self._dispatcher = CommandDispatcher(self._spool, self._events, self.session, make_actions(self), self._answer)
        self._monitor = HealthMonitor(
            self._spool,
            self._events,
            self._meter,
            self.session,
            Sources(
                publisher=lambda: self._publisher,
                health_inputs=self._health_inputs,
                capture=lambda: self._pipeline.counters,
                readings_count=lambda: self._readings,
            ),
            on_health=self._health_changed,
            on_metrics=self._on_metrics,
            on_failure=self._fail,
        )
        self._wake_monitor = self._monitor.wake
        self._publisher = self._make_publisher()
        self._wake = lambda: self._publisher.wake()  # noqa: PLW0108 - a reload replaces the publisher
        self._introduce()
        self._pipeline = self._make_pipeline()

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._config

    @property
    def counts(self) -> Counts:
        """Readings made, and those that the spool could not take."""
        return Counts(self._readings, self._refused)

    @property
    def spool(self) -> Spool:
        """Where results wait."""
        return self._spool

    @property
    def publisher(self) -> Publisher:
        """The connection to the broker."""
        return self._publisher

    @property
    def stuck(self) -> tuple[str, ...]:
        """Names of the parts that do not get on with their work: capture, analysis, inference, spool."""
        stall_detectors = self._pipeline.stall_detectors
        if isinstance(self._spool, SqliteSpool):
            stall_detectors["spool"] = self._spool.stall_detector
        return tuple(name for name, stall_detector in stall_detectors.items() if stall_detector.stuck)

    @property
    def summary(self) -> str:
        """One line for a person: what it does, and what there is of it."""
        stats = self._spool.stats()
        if self._paused:
            camera = "paused"
        elif self._camera_error is not None:
            camera = self._camera_error.code
        else:
            camera = "reading" if self._streaming else "waiting for the camera"
        broker = self._publisher.broker
        connection = "connected" if broker.connected else "no broker" if broker.error is None else broker.error.code
        waiting = stats.waiting_count + stats.in_flight_count
        return f"{camera}; {connection}; {self._readings} readings, {waiting} messages wait"

    def look_for_camera(self) -> None:
        """A camera may have been plugged in: do not wait for the next try."""
        self._pipeline.wake()

    def start(self) -> None:
        """Start all threads and return. Neither the camera nor the broker needs to be there."""
        model = self._analyzer.model
        self._events.record(
            EventKind.STARTED,
            f"leukoscope {__version__} began with the bundle {model.name} {model.version}.",
            software=__version__,
            model=model.name,
            model_version=model.version,
            model_sha256=model.sha256,
        )
        self._publisher.start()
        self._dispatcher.start()
        self._monitor.start()
        self._pipeline.start()

    def trigger(self) -> None:
        """Ask for a reading now, whatever the mode."""
        self._pipeline.request()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the frames have come to their end, or a thread failed. True if so, False at the time-out."""
        return self._finished.wait(timeout_s)

    def stop(self) -> None:
        """Finish the frame and the command in hand, let the broker take what is left, say goodbye.

        Raises what made a thread fail, if one did.
        """
        with self._control:
            self._paused = True
            self._end_reading()
        self._dispatcher.stop()
        self._monitor.stop()
        self._events.record(EventKind.STOPPED, f"The agent stopped after {self._readings} readings.")
        if not self._spool.flush(DURABLE_S):
            log.error("not everything could be written to the spool: %s", self._spool.error)
        self._publisher.stop()
        self._spool.close()
        self._events.close()
        if self._failure is not None:
            raise self._failure

    def reload(self, config: Config) -> None:
        """Go over to another configuration. Session, numbers and waiting results go on.

        The new bundle and password are read first: if that raises, the old configuration stays in force. Sections
        that the spool was opened with need a restart: raises ``ConfigError`` if they differ.
        """
        fixed = ("state", "spool", "prometheus", "web")
        changed = [name for name in fixed if getattr(config, name) != getattr(self._config, name)]
        if changed:
            raise ConfigError(
                f"[{'], ['.join(changed)}] cannot change while the agent runs.", remedy="Restart the agent."
            )
        analyzer = make_analyzer(config)
        with self._control:
            # Refuses a password or certificate that cannot be read before anything has changed.
            publisher = self._make_publisher(config)
            self._end_reading()
            self._config = config
            self._analyzer = analyzer
            self._results.device = config.device.id
            self._topics = self._events.topics = Topics(config.device.site, config.device.id)
            # A new bundle or camera is told in the device's info, which goes out with a new connection.
            self._publisher.stop()
            self._publisher = publisher
            self._introduce()
            self._publisher.start()
            self._events.record(EventKind.CONFIGURED, "The configuration was read again and is in force.")
            if not self._paused:
                self._begin_reading()
            self._monitor.renew()
            self._show_status()

    def pause(self) -> None:
        """Let go of the camera and read nothing until ``resume``; a restart resumes too."""
        with self._control:
            if self._paused:
                return
            self._paused = True
            self._end_reading()
            self._streaming = False
            self._events.record(EventKind.PAUSED, "Reading is paused.")
            self._show_status()

    def resume(self) -> None:
        """Read again."""
        with self._control:
            if not self._paused:
                return
            self._paused = False
            self._events.record(EventKind.RESUMED, "Reading goes on.")
            self._begin_reading()
            self._show_status()

    def capture(self) -> Result:
        """The next reading, asked for now. Raises ``AgentPaused``, or ``CameraTimeout`` if no frame comes."""
        wanted: Future[Result] = Future()
        with self._control:
            if self._paused:
                raise AgentPaused("The agent is paused.")
            self._captures.put(wanted)
        self.trigger()
        try:
            return wanted.result(CAPTURE_DEADLINE_S)
        except TimeoutError as error:
            raise self._camera_error or CameraTimeout(f"No frame came within {CAPTURE_DEADLINE_S:g} s.") from error

    def set_specimen(self, specimen: Specimen) -> None:
        """From the next reading on, readings belong to this slide. Raises ``SpecimenOpen``."""
        with self._control:
            if self._tally is not None:
                raise SpecimenOpen("A slide is being read already.")
            tally = Tally(specimen=specimen, began_at=datetime.now(UTC))
            self._events.record(
                EventKind.SPECIMEN_SET,
                "A slide was set.",
                state_entries={NOTE: tally.to_json()},
                specimen=specimen.id,
                slide=specimen.slide,
            )
            self._tally = tally

    def finish_specimen(self) -> Report:
        """Sum the slide up and send its report. Raises ``SpecimenMissing``, or why the spool cannot take it."""
        with self._control:
            # A reading that is counted while the report is written would be in neither this slide nor the next.
            with self._counting:
                tally = self._tally
                if tally is None:
                    raise SpecimenMissing("No slide is being read.")
                report = tally.report(device=self._topics.device, session=self.session, model=self._analyzer.model)
                self._spool.append(Message(report.id, self._topics.report, report.to_json()), {NOTE: None})
                self._tally = None
            self._events.record(
                EventKind.SPECIMEN_FINISHED,
                f"The slide was finished after {report.readings_count} readings.",
                specimen=report.specimen.id,
                slide=report.specimen.slide,
                report=str(report.id),
            )
            return report

    def self_test(self) -> tuple[Check, ...]:
        """Load the bundle once more and hold it against its golden outputs; then all checks as they are now."""
        problem: EdgeAgentError | None = None
        try:
            make_analyzer(self._config)
        except EdgeAgentError as error:
            problem = error
        return (Check.from_error("model", problem), *self._monitor.examine())

    def _open_spool(self) -> Spool:
        settings = self._config.spool
        max_bytes = round(settings.max_mib * 2**20)
        if settings.storage == "memory":
            return MemorySpool(max_bytes)
        limits = SpoolLimits(
            max_bytes=max_bytes,
            max_age_s=settings.max_age_days * 86400,
            when_full=settings.when_full,
            commit_delay_s=settings.commit_delay_s,
        )
        return SqliteSpool(self._folder, limits, on_change=self._spool_changed, on_failure=self._fail)

    def _spool_changed(self) -> None:
        """Something was committed, or can no longer be."""
        self._wake()
        error = self._spool.error
        code, before = None if error is None else error.code, self._spool_code
        self._spool_code = code
        if code != before:
            self._wake_monitor()

    def _begin_reading(self) -> None:
        self._pipeline = self._make_pipeline()
        self._pipeline.start()

    def _end_reading(self) -> None:
        self._pipeline.stop()
        for wanted in self._asked_for():
            wanted.set_exception(AgentPaused("Reading was interrupted."))

    def _asked_for(self) -> Iterator[Future[Result]]:
        """Those who wait for the next reading."""
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._captures.get_nowait()

    def _make_publisher(self, config: Config | None = None) -> Publisher:
        config = config or self._config
        return Publisher(
            config.mqtt,
            Topics(config.device.site, config.device.id),
            self._spool,
            self.session,
            replay_rate_hz=config.spool.replay_rate_hz,
            on_state=lambda _state: self._monitor.wake(),
            on_request=self._dispatcher.submit,
            on_failure=self._fail,
        )

    def _introduce(self) -> None:
        """Say what the device is made of, now and after each connect."""
        config = self._config
        model = self._analyzer.model
        info = Info(
            demonstration=self._analyzer.demonstration,
            device=config.device.id,
            session=self.session,
            started_at=self._started_at,
            machine=platform.machine(),
            software=Software(
                leukoscope=__version__,
                python=platform.python_version(),
                opencv=cv2.__version__,
                runtime=model.runtime,
            ),
            cameras=(CameraInfo(id=config.camera.id, kind=config.camera.kind),),
            model=model,
            schemas=schema_ids(),
        )
        reported = ModelReported(device=config.device.id, session=self.session, at=datetime.now(UTC), model=model)
        self._publisher.set_retained(self._topics.info, info.to_json())
        self._publisher.set_retained(self._topics.model_reported, reported.to_json())

    def _answer(self, request: Request, payload: bytes) -> None:
        self._publisher.answer(request, payload)

    def _health_inputs(self) -> HealthInputs:
        return HealthInputs(
            camera=self._camera_error,
            spool=self._spool.error,
            broker=self._publisher.broker.error,
            audit=self._events.error,
            clock=clock_problem(datetime.now(UTC).year, clock_synchronised()),
            machine=read_machine(self._folder, self._process),
        )

    def _health_changed(self, checks: tuple[Check, ...]) -> None:
        self._checks = checks
        self._on_checks(checks)
        self._show_status()

    def _fail(self, failure: BaseException) -> None:
        """Something ended that must not end: whoever waits for the agent finds out."""
        self._failure = failure
        self._finished.set()

    def _make_pipeline(self) -> AnalysisPipeline:
        config = self._config
        events = PipelineCallbacks(self._keep, self._camera_changed, self._finished.set, self._fail)
        return AnalysisPipeline(self._make_camera, config.capture, self._analyzer, config.trigger, events)

    def _keep(self, reading: Reading) -> bool:
        """Make a reading a result, and hand it to the spool. False once enough readings are made."""
        with self._counting:
            tally = self._tally
            result = self._results.make(reading, None if tally is None else tally.next_field)
            self._readings += 1
            counted = None if tally is None else tally.counting(result)
            entries = {} if counted is None else {NOTE: counted.to_json()}
            try:
                self._spool.append(Message(result.id, self._topics.result(result.camera), result.to_json()), entries)
            except EdgeAgentError as error:
                self._refused += 1
                self._monitor.wake()
                log.debug("%s", error)
            else:
                self._tally = counted
                self._publisher.wake()
        self._meter.add(result.latency_ms)
        if self._on_result is not None:
            self._on_result(result, reading)
        for wanted in self._asked_for():
            wanted.set_result(result)
        return self._max_readings is None or self._readings < self._max_readings

    def _camera_changed(self, state: CameraState) -> None:
        self._streaming = state.phase is CameraPhase.STREAMING
        if state.phase is not CameraPhase.OPENING:
            self._camera_error = state.error
            self._monitor.wake()
        self._show_status()

    def _show_status(self) -> None:
        if self._paused:
            self._publisher.set_status(StatusState.SLEEPING)
            return
        # Nobody who reads this is told that there is no connection.
        codes = [
            check.code for check in self._checks if check.code is not None and check.name not in {"broker", "camera"}
        ]
        if self._camera_error is not None:
            codes.insert(0, self._camera_error.code)
        if codes:
            self._publisher.set_status(StatusState.DEGRADED, codes[0])
        else:
            self._publisher.set_status(StatusState.READY if self._streaming else StatusState.INIT)
