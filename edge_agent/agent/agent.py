"""Connects the parts, and starts, stops and reloads them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import psutil
from uuid_utils.compat import uuid7

from edge_agent import __version__
from edge_agent.acquisition.pipeline import AnalysisPipeline, PipelineCallbacks
from edge_agent.adaptation.adaptation import Adaptation
from edge_agent.agent.acceleration import Acceleration
from edge_agent.agent.calibration_run import run_calibration
from edge_agent.agent.certificates import certificate_files
from edge_agent.agent.factory import make_analyzer, open_spool
from edge_agent.agent.model_control import ModelControl
from edge_agent.agent.model_rollout import make_rollout
from edge_agent.agent.own_heads import make_adaptation
from edge_agent.agent.reading_control import ReadingControl
from edge_agent.agent.result_sink import OnResult, ResultSink
from edge_agent.agent.retained import RetainedMessages, RetainedSources
from edge_agent.agent.self_test import run_self_test
from edge_agent.agent.shadowing import Shadowing
from edge_agent.agent.status import DeviceStatus
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import Reading
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras import Camera, CameraState, camera_maker
from edge_agent.clock import clock_synchronised
from edge_agent.collection.collection import FOLDER as COLLECTION_FOLDER
from edge_agent.collection.collection import Collection
from edge_agent.commands.dispatcher import CommandDispatcher, Reply
from edge_agent.commands.handlers import Data, Operations, make_handlers
from edge_agent.config import Config
from edge_agent.contracts import (
    Adapt,
    Calibrate,
    Calibration,
    Check,
    EventKind,
    Health,
    Metrics,
    ModelIdentity,
    Result,
    Topics,
)
from edge_agent.errors import ConfigError, SpeedMissed
from edge_agent.events.recorder import EventRecorder
from edge_agent.monitoring.certificates import CertificateWatch
from edge_agent.monitoring.drift import DriftMonitor
from edge_agent.monitoring.health import ClockReading, HealthInputs
from edge_agent.monitoring.host import read_machine
from edge_agent.monitoring.latency import LatencyRecorder
from edge_agent.monitoring.metrics import MetricsCollector, MetricsSources
from edge_agent.monitoring.monitor import HealthMonitor, MonitorCallbacks
from edge_agent.monitoring.pace import Pace
from edge_agent.monitoring.pace_events import PaceEvents
from edge_agent.monitoring.scale_events import ScaleEvents
from edge_agent.monitoring.speed import SpeedMonitor
from edge_agent.monitoring.spool_events import SpoolEvents
from edge_agent.mqtt import Publisher, Request
from edge_agent.specimens.archive import ReportArchive
from edge_agent.specimens.tally import Tally
from edge_agent.specimens.tracker import SpecimenTracker
from edge_agent.spool import Spool, SqliteSpool
from edge_agent.watchdog import StallDetector

log = logging.getLogger(__name__)

DURABLE_S = 10.0
"""How long a stop waits for the disk."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts since the agent started. The spool accepts or refuses every reading."""

    readings_count: int
    refused_count: int


class Agent:
    """A device: one camera, one analyzer, one spool, one publisher.

    The camera has a thread of its own, in which only the newest frame waits; the analysis threads take frames, judge
    them and append results to the spool; the publisher's thread empties the spool; the dispatcher's thread carries
    commands out; the monitor's thread publishes health and metrics.
    """

    def __init__(
        self,
        config: Config,
        *,
        camera: Callable[[], Camera] | None = None,
        on_result: OnResult | None = None,
        on_health: Callable[[Health], None] = lambda _health: None,
        on_metrics: Callable[[Metrics], None] = lambda _metrics: None,
        max_readings: int | None = None,
    ) -> None:
        """Open the spool and load the model; nothing else is started.

        Raises ``BundleError``, ``SigningMissing``, ``RuntimeMissing``, ``ConfigError``, ``SpoolError``.
        ``camera`` replaces the configured one (for tests). ``on_result`` is called in the inference thread, the other
        two in the monitor's. After ``max_readings`` the agent finishes by itself.
        """
        self._config = config
        self._make_camera = camera
        self._on_health = on_health
        self._on_metrics = on_metrics
        self._max_readings = max_readings
        self.session: UUID = uuid7()
        self._started_at = datetime.now(UTC)
        self._topics = Topics(config.device.site, config.device.id)
        self._status = DeviceStatus()
        self._latency = LatencyRecorder()
        self._process = psutil.Process()
        self._finished = threading.Event()
        self._failure: BaseException | None = None
        self._built = False
        with ExitStack() as stack:
            # Another attempt in this process after a failure must find the spool free.
            self._build(config, on_result, stack)
            self._closing = stack.pop_all()

    def _build(self, config: Config, on_result: OnResult | None, closing: ExitStack) -> None:
        """Create the parts, and put on ``closing`` what stops each of them: the last one created is stopped first."""
        closing.callback(self._raise_failure)
        self._spool_code: str | None = None
        self._spool = open_spool(config, self._spool_changed, self._fail)
        closing.callback(self._spool.close)
        self._events = EventRecorder(config.state.folder, self._spool, self._topics, self.session)
        closing.callback(self._events.close)
        self._on_result = on_result
        self._collection = self._make_collection(config)
        closing.callback(self._collection.stop)
        self._models = ModelControl(
            config,
            self._events,
            self._spool,
            changing=lambda: self._reading.unchanged(),  # noqa: PLW0108 - built below, from what this is part of
            use=self._use,
            wake=lambda: self._monitor.wake(),  # noqa: PLW0108 - built below, too
        )
        closing.callback(self._end_trial)
        self._acceleration = Acceleration(self._events, self._accelerator_changed)
        closing.callback(self._acceleration.close)
        self._acceleration.use(config.analysis, self._models.analyzer)
        self._drift = DriftMonitor()
        self._pace = PaceEvents(Pace(config.pace, config.trigger.pace_interval_s), self._events)
        self._speed = SpeedMonitor()
        self._watch_speed()
        self._certificates = self._watch_certificates(config)
        self._shadowing = Shadowing(self._models.candidate, lambda: self._models.analyzer.model, self._events)
        self._adaptation = make_adaptation(config, lambda: self._config, self._collection, self._models, self._events)
        closing.callback(self._adaptation.stop)
        self._specimens = SpecimenTracker(
            self._spool,
            self._events,
            self.session,
            lambda: self._topics,
            lambda: self._models.analyzer.model,
            on_change=lambda tally: self._retained.put_slide(tally),  # noqa: PLW0108 - built below
        )
        self._dispatcher = CommandDispatcher(
            self._spool,
            self._events,
            self.session,
            make_handlers(
                Operations(
                    capture=lambda: self._reading.capture(),  # noqa: PLW0108 - built below, from what these are part of
                    pause=lambda: self._reading.pause(),  # noqa: PLW0108 - built below, too
                    resume=lambda: self._reading.resume(),  # noqa: PLW0108 - built below, too
                    set_specimen=self._specimens.set,
                    finish_specimen=self._specimens.finish,
                    self_test=self.self_test,
                    config=lambda: self._config,
                    calibrate=self.calibrate,
                    select_model=self._models.select,
                    shadow_model=self._shadowing.command,
                    adapt=self.adapt,
                    cancel_adaptation=self._adaptation.cancel,
                )
            ),
            self._answer,
            on_failure=self._fail,
        )
        self._retained = RetainedMessages(
            self._make_publisher(config),
            self._topics,
            self.session,
            self._started_at,
            RetainedSources(lambda: self._config, self._models, self._acceleration, lambda: self._rollout.status),
        )
        closing.callback(self._stop_publisher)
        closing.callback(self._flush)
        closing.callback(self._shadowing.close)
        self._monitor = HealthMonitor(
            self._health_inputs,
            MetricsCollector(
                MetricsSources(
                    readings=lambda: self._results.counts,
                    capture=lambda: self._reading.counters,
                    spool=self._spool.stats,
                    latency=self._latency,
                    shadow=lambda: self._shadowing.figures,
                    pause_s=lambda: self._pace.pause_s,
                ),
                self.session,
            ),
            SpoolEvents(self._spool, self._events),
            self._events,
            self.session,
            MonitorCallbacks(self._health_changed, self._metrics_made, self._fail, self._do_round),
        )
        self._results = ResultSink(
            ResultMaker(config.device.site, config.device.id, self.session),
            self._specimens,
            self._latency,
            ScaleEvents(self._events),
            on_accepted=self._result_accepted,
            on_refused=self._monitor.wake,
            on_result=self._result_made,
        )
        closing.callback(self._monitor.stop)
        closing.callback(self._dispatcher.stop)
        self._reading = ReadingControl(self._make_pipeline, self._status, self._events, self._publish_status)
        closing.callback(self._reading.stop)
        self._rollout = make_rollout(
            lambda: self._config, self._models, self._shadowing, self._events, changed=self._retained.report_model
        )
        closing.callback(self._rollout.stop)
        self._retained.introduce()
        # At the broker there may be one that was finished, or none, when this device was last connected.
        self._retained.put_slide(self._specimens.open_slide, at_once=True)
        self._built = True

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._config

    @property
    def counts(self) -> Counts:
        """Readings made, and those that the spool could not take."""
        return Counts(self._results.readings_count, self._results.refused_count)

    @property
    def reading(self) -> ReadingControl:
        """Pauses, resumes, captures, and shows frames."""
        return self._reading

    @property
    def status(self) -> DeviceStatus:
        """What the status depends on."""
        return self._status

    @property
    def model(self) -> ModelIdentity:
        """The model in use."""
        return self._models.analyzer.model

    @property
    def models(self) -> ModelControl:
        """Which model is used, and which others could be."""
        return self._models

    @property
    def demonstration(self) -> bool:
        """Whether the model in use was not trained on real smears."""
        return self._models.analyzer.demonstration

    @property
    def provisional(self) -> bool:
        """Whether the model in use gives no answers, because its record does not show that they can be used."""
        return self._models.analyzer.provisional

    @property
    def open_slide(self) -> Tally | None:
        """The counts of the open slide."""
        return self._specimens.open_slide

    @property
    def collection(self) -> Collection:
        """Frames that are kept, and their labels."""
        return self._collection

    @property
    def adaptation(self) -> Adaptation:
        """Fits heads to what was labelled here."""
        return self._adaptation

    @property
    def reports(self) -> ReportArchive:
        """The reports of finished slides."""
        return self._specimens.archive

    @property
    def shadowing(self) -> Shadowing:
        """The candidate that judges beside the model in use."""
        return self._shadowing

    @property
    def spool(self) -> Spool:
        """Where results wait."""
        return self._spool

    @property
    def publisher(self) -> Publisher:
        """The connection to the broker."""
        return self._retained.publisher

    @property
    def stuck(self) -> tuple[str, ...]:
        """Names of the parts that make no progress."""
        return tuple(name for name, detector in self._stall_detectors().items() if detector.stuck)

    @property
    def summary(self) -> str:
        """One line for a person: camera, broker, and the number of readings and waiting messages."""
        return self._status.summary(self.publisher.broker, self._spool.stats(), self._results.readings_count)

    def start(self) -> None:
        """Start all threads and return. Neither the camera nor the broker needs to be available."""
        model, beside = self._models.analyzer.model, self._models.analyzer.cells_beside
        cells = None if beside is None else beside.model
        types = "" if cells is None else f", and {cells.name} {cells.version} for cells"
        self._events.record(
            EventKind.STARTED,
            f"leukoscope {__version__} started with the bundle {model.name} {model.version}{types}.",
            software=__version__,
            model=model.name,
            model_version=model.version,
            model_sha256=model.sha256,
            cells_model=None if cells is None else cells.name,
            cells_model_version=None if cells is None else cells.version,
            cells_model_sha256=None if cells is None else cells.sha256,
        )
        self.publisher.start()
        self._dispatcher.start()
        self._monitor.start()
        self._collection.start()
        self._adaptation.start()
        self._acceleration.start()
        self._reading.start()
        self._rollout.start()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until there are no more frames, or a thread failed. False if ``timeout_s`` passed first."""
        return self._finished.wait(timeout_s)

    def stop(self) -> None:
        """Finish the current frame and command, deliver what the broker still takes, and disconnect.

        A part that fails to stop does not keep the others from stopping. Raises that failure, or the one that ended a
        thread before.
        """
        self._closing.close()

    def reload(self, config: Config) -> None:
        """Switch to another configuration. Session, numbering and waiting results continue.

        The new bundle and password are read first: if that raises, the old configuration stays in force. Sections
        that need a restart raise ``ConfigError`` if they differ.
        """
        fixed = ("state", "spool", "collection", "adaptation", "prometheus", "web")
        changed = [name for name in fixed if getattr(config, name) != getattr(self._config, name)]
        if changed:
            raise ConfigError(
                f"[{'], ['.join(changed)}] cannot change while the agent runs.", remedy="Restart the agent."
            )
        with self._reading.unchanged():
            prepared = self._models.prepare(config)
            # Refuses a password or certificate that cannot be read before anything has changed.
            publisher = self._make_publisher(config)
            with self._reading.interrupted():
                self._config = config
                self._certificates = self._watch_certificates(config)
                self._models.take(config, prepared)
                self._pace.use(config.pace, config.trigger.pace_interval_s)
                self._watch_speed()
                self._acceleration.use(config.analysis, self._models.analyzer)
                self._topics = self._events.topics = Topics(config.device.site, config.device.id)
                self._results.rename(self._topics)
                self._retained.move(publisher, self._topics)
                publisher.start()
                self._events.record(EventKind.CONFIGURED, "The configuration was reloaded.")
            self._monitor.publish_health_again()
            self._publish_status()
            # The model that was asked for over MQTT may not be the one in use any more, or be it now.
            self._rollout.look_again()

    def calibrate(self, asked: Calibrate) -> Calibration:
        """Measure the next frames, while they are read as always, and keep what was found in the state folder.

        Fewer frames than asked for are enough. Raises ``AgentPaused``, ``CameraTimeout`` if there is none, or
        ``ImageError`` if none can be read.
        """
        frames = self._reading.look_on()
        try:
            found = run_calibration(asked, frames, self._config)
        finally:
            self._reading.look_away(frames)
        if found is None:
            raise self._reading.no_frame()
        return found

    def adapt(self, asked: Adapt) -> Data:
        """Begin to fit a head to what was labelled here. Raises ``AdaptationError``, ``LabelInvalid``, ..."""
        begun = self._adaptation.fit(asked.label_set, asked.name)
        return {"name": asked.name, "label_set": begun.label_set, "state": begun.state}

    def submit(self, request: Request, reply: Reply, *, by: str) -> None:
        """Carry out a command that did not come over MQTT; see ``CommandDispatcher.submit``."""
        self._dispatcher.submit(request, reply, by=by)

    def record_failed_logins(self, count: int) -> None:
        """Wrong passwords or tokens of the microscope page were tried ``count`` times."""
        self._events.record(
            EventKind.LOGINS_FAILED, f"{count} log-ins to the microscope page failed.", attempts_count=count
        )

    def self_test(self) -> tuple[Check, ...]:
        """Load the bundle again and compare it with its golden outputs; then run all checks."""
        return run_self_test(lambda: make_analyzer(self._models.apply(self._config)), self._monitor.run_checks)

    def _accelerator_changed(self) -> None:
        """Called in the Edge TPU's thread."""
        self._retained.publish_info()
        self._monitor.wake()

    def _use(self, analyzer: Analyzer) -> None:
        self._acceleration.use(self._config.analysis, analyzer)
        self._reading.switch(analyzer)
        self._watch_speed()
        self._retained.introduce()
        self._rollout.look_again()

    def _end_trial(self) -> None:
        # A thread that failed is no end in order: the model may be why.
        if self._failure is None:
            self._models.stop()

    def _stall_detectors(self) -> dict[str, StallDetector]:
        detectors = {
            **self._reading.stall_detectors,
            "commands": self._dispatcher.stall_detector,
            "monitor": self._monitor.stall_detector,
            "publisher": self.publisher.stall_detector,
        }
        if isinstance(self._spool, SqliteSpool):
            detectors["spool"] = self._spool.stall_detector
        return detectors

    def _result_accepted(self, result: Result) -> None:
        # Not a bound method of the publisher, because a reload replaces it; so below.
        self.publisher.wake()
        self._retained.put_last(result)

    def _do_round(self) -> None:
        """Called every few seconds."""
        self._models.do_round()
        self._retained.do_round()

    def _stop_publisher(self) -> None:
        self.publisher.stop()

    def _make_pipeline(self) -> AnalysisPipeline:
        config = self._config
        left = None if self._max_readings is None else self._max_readings - self._results.readings_count
        return AnalysisPipeline(
            self._make_camera or camera_maker(config.camera),
            config.capture,
            self._models.analyzer,
            config.trigger,
            PipelineCallbacks(self._results.keep, self._camera_changed, self._finished.set, self._fail),
            max_readings=left,
            pause_s=lambda: self._pace.pause_s,
        )

    def _make_collection(self, config: Config) -> Collection:
        return Collection(
            config.collection,
            config.state.folder / COLLECTION_FOLDER,
            # Not those of a head, which has only the labels that somebody gave.
            lambda: self._models.analyzer.bundle_labels,
            lambda: self._topics,
            synthetic=lambda: self._config.camera.kind == "synthetic",
            max_pixels=round(config.analysis.max_image_megapixels * 1e6),
            on_event=self._collection_changed,
        )

    def _collection_changed(self, kind: EventKind, message: str, code: str | None) -> None:
        if kind is EventKind.COLLECTION_DELETED:
            self._adaptation.forget()
        self._events.record(kind, message, code=code)

    def _result_made(self, result: Result, reading: Reading) -> None:
        self._models.seen(reading)
        self._collection.offer(result, reading)
        analyzer = self._models.analyzer
        self._drift.use(analyzer.model, analyzer.known_appearance, analyzer.reference)
        self._drift.add(reading)
        self._speed.add(reading)
        self._shadowing.offer(reading)
        if self._on_result is not None:
            self._on_result(result, reading)

    def _make_publisher(self, config: Config) -> Publisher:
        return Publisher(
            config.mqtt,
            Topics(config.device.site, config.device.id),
            self._spool,
            self.session,
            replay_rate_hz=config.spool.replay_rate_hz,
            on_state=lambda _state: self._monitor.wake(),
            on_request=self._dispatcher.submit,
            on_desired=lambda payload: self._rollout.submit(payload),  # noqa: PLW0108 - built after the publisher
            listeners={
                # Built after the publisher.
                config.homeassistant.birth_topic: lambda payload: self._retained.home_assistant_said(payload)  # noqa: PLW0108
            }
            if config.homeassistant.enabled
            else {},
            on_failure=self._fail,
        )

    def _answer(self, request: Request, payload: bytes) -> None:
        self.publisher.answer(request, payload)

    def _camera_changed(self, state: CameraState) -> None:
        before = self._status.camera_error
        self._status.camera_changed(state)
        if self._status.camera_error is not before:
            self._monitor.wake()
        self._publish_status()

    def _spool_changed(self) -> None:
        """Called when the spool has committed something, or its error has changed."""
        if not self._built:
            # The spool's thread starts before the parts that it notifies exist.
            return
        self.publisher.wake()
        error = self._spool.error
        code, before = None if error is None else error.code, self._spool_code
        self._spool_code = code
        if code != before:
            self._monitor.wake()

    def _health_inputs(self) -> HealthInputs:
        machine = read_machine(self._config.state.folder, self._process)
        return HealthInputs(
            camera=self._status.camera_error,
            spool=self._spool.error,
            broker=self.publisher.broker.error,
            audit=self._events.error,
            certificates=self._certificates.check(),
            model=self._drift.check(),
            accelerator=self._acceleration.check(),
            clock=ClockReading(datetime.now(UTC), clock_synchronised()),
            machine=machine,
            pace=self._pace.look(machine),
            speed=self._speed.check(),
        )

    def _watch_speed(self) -> None:
        choice = self._models.speed
        if choice is None:
            self._speed.use(None, None)
            return
        problem = None if choice.holds else SpeedMissed(f"When the agent started, nothing was fast enough: {choice}.")
        self._speed.use(choice.target_ms, problem)

    def _watch_certificates(self, config: Config) -> CertificateWatch:
        return CertificateWatch(certificate_files(config), lambda: self.publisher.broker.certificate_end)

    def _health_changed(self, health: Health) -> None:
        self._retained.put_health(health)
        self._status.checks = health.checks
        self._on_health(health)
        self._publish_status()

    def _metrics_made(self, metrics: Metrics) -> None:
        self.publisher.send_metrics(metrics.to_json())
        self._on_metrics(metrics)

    def _publish_status(self) -> None:
        self._retained.put_status(*self._status.current(self.publisher.broker))

    def _fail(self, failure: BaseException) -> None:
        """A thread ended that must not end: ``wait`` returns, and ``stop`` raises the failure."""
        self._failure = failure
        self._finished.set()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _flush(self) -> None:
        """Record the last event, and wait for the disk before the publisher stops."""
        self._retained.flush()
        self._events.record(EventKind.STOPPED, f"The agent stopped after {self._results.readings_count} readings.")
        if not self._spool.flush(DURABLE_S):
            log.error("not everything could be written to the spool: %s", self._spool.error)
