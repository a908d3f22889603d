"""Wires the parts and owns their threads: start, stop, reload."""

from __future__ import annotations

import logging
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import cv2
from uuid_utils.compat import uuid7

from edge_agent import __version__
from edge_agent.analysis import Analyzer, Reading, View
from edge_agent.cameras import Camera, CameraPhase, CameraState, CameraSupervisor, make_camera
from edge_agent.config import Config
from edge_agent.contracts import Camera as CameraInfo
from edge_agent.contracts import Info, Result, Software, StatusState, Topics
from edge_agent.errors import EdgeAgentError, SpoolFull
from edge_agent.inference import Classifier, load_bundle
from edge_agent.messaging import MemorySpool, Message, Publisher, Spool
from edge_agent.results import ResultMaker
from edge_agent.trigger import Trigger

log = logging.getLogger(__name__)

REFERENCE_MAX_AGE_S = 1.0
"""A frame this much older than the one that is read says nothing about motion."""

SCHEMAS = ("leukoscope/info/v1", "leukoscope/result/v1", "leukoscope/status/v1")


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
    judges them and appends results to the spool; the publisher's thread empties the spool.
    """

    def __init__(
        self,
        config: Config,
        *,
        camera: Callable[[], Camera] | None = None,
        on_result: Callable[[Result, Reading], None] | None = None,
        max_readings: int | None = None,
    ) -> None:
        """Load the bundle; nothing runs yet. Raises ``BundleError``, ``RuntimeMissing``, ``ConfigError``.

        ``camera`` replaces the configured one (for tests). ``on_result`` is called in the analysis thread.
        After ``max_readings`` the agent finishes by itself.
        """
        self._config = config
        self._make_camera = camera or (lambda: make_camera(self._config.camera))
        self._on_result = on_result
        self._max_readings = max_readings
        self.session: UUID = uuid7()
        self._started_at = datetime.now(UTC)
        self._spool: Spool = MemorySpool(config.spool.max_messages_count)
        self._results = ResultMaker(config.device.id, self.session)
        self._finished = threading.Event()
        self._failure: BaseException | None = None
        self._camera_error: EdgeAgentError | None = None
        self._spool_error: EdgeAgentError | None = None
        self._streaming = False
        self._before: View | None = None
        self._readings = 0
        self._refused = 0
        self._trigger = Trigger(config.trigger)
        self._analyzer = make_analyzer(config)
        self._topics = _topics(config)
        self._publisher = self._make_publisher()
        self._stop_analysis = threading.Event()
        self._analysis = self._make_analysis_thread()

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

    def start(self) -> None:
        """Start all threads and return. Neither the camera nor the broker needs to be there."""
        self._publisher.start()
        self._analysis.start()

    def trigger(self) -> None:
        """Ask for a reading now, in mode ``triggered``."""
        self._trigger.request()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the frames have come to their end, or a thread failed. True if so, False at the time-out."""
        return self._finished.wait(timeout_s)

    def stop(self) -> None:
        """Finish the frame in hand, let the broker take what is left, say goodbye.

        Raises what made a thread fail, if one did.
        """
        self._end_analysis()
        self._publisher.stop()
        if self._failure is not None:
            raise self._failure

    def reload(self, config: Config) -> None:
        """Go over to another configuration. Session, numbers and waiting results go on.

        The new bundle and password are read first: if that raises, the old configuration stays in force.
        """
        analyzer = make_analyzer(config)
        config.mqtt.password()
        self._end_analysis()
        self._config = config
        self._analyzer = analyzer
        self._trigger = Trigger(config.trigger)
        self._results.device = config.device.id
        self._topics = _topics(config)
        # A new bundle or camera is told in the device's info, which goes out with a new connection.
        self._publisher.stop()
        self._spool.give_back()
        self._publisher = self._make_publisher()
        self._stop_analysis = threading.Event()
        self._analysis = self._make_analysis_thread()
        self.start()
        self._show_status()
        log.info("configuration reloaded")

    def _end_analysis(self) -> None:
        self._stop_analysis.set()
        if self._analysis.ident is not None:
            self._analysis.join()

    def _make_publisher(self) -> Publisher:
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
            schemas=SCHEMAS,
        )
        return Publisher(config.mqtt, self._topics, self._spool, info, on_failure=self._fail)

    def _fail(self, failure: BaseException) -> None:
        """Something ended that must not end: whoever waits for the agent finds out."""
        self._failure = failure
        self._finished.set()

    def _make_analysis_thread(self) -> threading.Thread:
        return threading.Thread(target=self._analyse_until_stopped, name="analysis", daemon=True)

    def _analyse_until_stopped(self) -> None:
        try:
            self._analyse()
        except BaseException as failure:
            log.critical("the analysis thread failed", exc_info=failure)
            self._fail(failure)
        else:
            if not self._stop_analysis.is_set():
                self._finished.set()

    def _analyse(self) -> None:
        stop = self._stop_analysis
        supervisor = CameraSupervisor(self._make_camera, self._config.capture, stop, self._camera_changed)
        self._before = None
        for frame in supervisor.frames():
            if not supervisor.live:
                # Every frame of a file counts, so it is the file that waits.
                stop.wait(self._trigger.wait_s(time.monotonic()))
            if stop.is_set() or not self._trigger.looks(time.monotonic()):
                continue
            view = self._analyzer.view(frame)
            if supervisor.live and self._before is None:
                # The first frame of a burst only shows what the second is to be compared with.
                self._before = view
                continue
            if self._trigger.wants(view, time.monotonic()):
                self._keep(self._analyzer.read(view, before=_reference(self._before, view)))
                if self._max_readings is not None and self._readings >= self._max_readings:
                    return
            # While no frame is worth decoding the next burst needs its own first frame.
            self._before = view if self._trigger.looks(time.monotonic()) else None

    def _keep(self, reading: Reading) -> None:
        result = self._results.make(reading)
        self._readings += 1
        if self._on_result is not None:
            self._on_result(result, reading)
        try:
            self._spool.append(Message(result.id, self._topics.result(result.camera), result.to_json()))
        except SpoolFull as error:
            self._refused += 1
            if self._spool_error is None:
                log.error("%s", error)  # noqa: TRY400 - an expected state, not a traceback
            self._spool_error = error
            self._show_status()
        else:
            self._publisher.wake()
            if self._spool_error is not None:
                self._spool_error = None
                self._show_status()

    def _camera_changed(self, state: CameraState) -> None:
        self._streaming = state.phase is CameraPhase.STREAMING
        # What a camera saw before it was opened anew says nothing about motion.
        self._before = None
        if state.phase is not CameraPhase.OPENING:
            self._camera_error = state.error
        self._show_status()

    def _show_status(self) -> None:
        error = self._camera_error or self._spool_error
        if error is not None:
            self._publisher.set_status(StatusState.DEGRADED, error.code)
        else:
            self._publisher.set_status(StatusState.READY if self._streaming else StatusState.INIT)


def _topics(config: Config) -> Topics:
    return Topics(config.device.site, config.device.id)


def _reference(before: View | None, view: View) -> View | None:
    if before is None or view.frame.monotonic_ns - before.frame.monotonic_ns > REFERENCE_MAX_AGE_S * 1e9:
        return None
    return before
