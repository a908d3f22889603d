"""Takes frames from a camera, decides which are to be read, and reads them."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass

from edge_agent.acquisition.trigger import Trigger, TriggerSettings
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.extraction import Extraction
from edge_agent.analysis.reading import PendingReading, Reading
from edge_agent.cameras import Camera, CameraPhase, CameraState, CameraSupervisor, CaptureCounters
from edge_agent.cameras.settings import CapturePolicy
from edge_agent.watchdog import StallDetector

log = logging.getLogger(__name__)

REFERENCE_MAX_AGE_S = 1.0
"""A frame this much older than the one that is read says nothing about motion."""


STUCK_S = 20.0
"""No frame takes so long, on any board: whatever does will not end by itself."""

IN_HAND_MAX = 2
"""Prepared frames that may wait for the network or be in it; with one, each thread waits for the other's hiccups."""


@dataclass(frozen=True, slots=True)
class PipelineCallbacks:
    """Whom a pipeline tells, in its own threads."""

    on_reading: Callable[[Reading], bool]
    """Returns whether to go on. In the inference thread, all else in the analysis thread or either."""
    on_camera: Callable[[CameraState], None]
    on_end: Callable[[], None]
    """The frames have come to their end, or nobody wants more readings; not after ``stop``."""
    on_failure: Callable[[BaseException], None]


class AnalysisPipeline:
    """The analysis threads, from their start to their stop: to pause or change anything, stop it and make another.

    One thread takes frames and prepares them; the other, the network's, completes the one before meanwhile.
    """

    def __init__(
        self,
        make_camera: Callable[[], Camera],
        policy: CapturePolicy,
        analyzer: Analyzer,
        trigger: TriggerSettings,
        events: PipelineCallbacks,
    ) -> None:
        """Nothing runs yet, and no camera is opened."""
        self._analyzer = analyzer
        self._events = events
        self._trigger = Trigger(trigger)
        self._stop = threading.Event()
        self._woken = threading.Event()
        self._enough = threading.Event()
        self._before: Extraction | None = None
        self._preparing, self._completing = StallDetector(STUCK_S), StallDetector(STUCK_S)
        self._supervisor = CameraSupervisor(make_camera, policy, self._stop, self._camera_changed)
        self._thread = threading.Thread(target=self._run, name="analysis", daemon=True)

    @property
    def stall_detectors(self) -> dict[str, StallDetector]:
        """Of the threads, and of the wait for the camera."""
        return {"capture": self._supervisor.stall_detector, "analysis": self._preparing, "inference": self._completing}

    def wake(self) -> None:
        """A camera has come: look for it now."""
        self._supervisor.wake()

    @property
    def counters(self) -> CaptureCounters:
        """Of the camera, since this pipeline began."""
        return self._supervisor.counters

    def start(self) -> None:
        """Open the camera and read."""
        self._thread.start()

    def request(self) -> None:
        """Ask for a reading now, whatever the mode."""
        self._trigger.request()
        self._woken.set()

    def stop(self) -> None:
        """Finish the frame in hand and let go of the camera."""
        self._end()
        if self._thread.ident is not None:
            self._thread.join()

    def _end(self) -> None:
        self._stop.set()
        self._woken.set()

    def _run(self) -> None:
        try:
            # Leaving it waits for the reading in hand.
            with ThreadPoolExecutor(1, "inference") as inference:
                self._read(inference)
        except BaseException as failure:
            log.critical("the analysis thread failed", exc_info=failure)
            self._events.on_failure(failure)
        else:
            if self._enough.is_set() or not self._stop.is_set():
                self._events.on_end()

    def _read(self, inference: Executor) -> None:
        in_hand: deque[Future[None]] = deque()
        for frame in self._supervisor.frames():
            if not self._supervisor.live:
                # Every frame of a file counts, so it is the file that waits.
                self._woken.wait(self._trigger.wait_s(time.monotonic()))
                self._woken.clear()
            if self._stop.is_set() or not self._trigger.looks(time.monotonic()):
                continue
            with self._preparing.work():
                extracted = self._analyzer.extract(frame)
            if self._supervisor.live and self._before is None:
                # The first frame of a burst only shows what the second is to be compared with.
                self._before = extracted
                continue
            if self._trigger.wants(extracted, time.monotonic()):
                with self._preparing.work():
                    prepared = self._analyzer.prepare(extracted, previous=_reference(self._before, extracted))
                if len(in_hand) == IN_HAND_MAX:
                    in_hand.popleft().result()
                if self._enough.is_set():
                    return
                in_hand.append(inference.submit(self._complete, prepared))
            # While no frame is worth decoding the next burst needs its own first frame.
            self._before = extracted if self._trigger.looks(time.monotonic()) else None

    def _complete(self, prepared: PendingReading | Reading) -> None:
        try:
            with self._completing.work():
                go_on = self._events.on_reading(self._analyzer.complete(prepared))
        except BaseException as failure:
            log.critical("the inference thread failed", exc_info=failure)
            self._events.on_failure(failure)
            self._end()
        else:
            if not go_on:
                # The analysis thread may wait for a frame that nobody wants any more.
                self._enough.set()
                self._end()

    def _camera_changed(self, state: CameraState) -> None:
        if state.phase is not CameraPhase.STREAMING:
            # What a camera saw before it was opened anew says nothing about motion.
            self._before = None
        self._events.on_camera(state)


def _reference(before: Extraction | None, extracted: Extraction) -> Extraction | None:
    if before is None or extracted.frame.monotonic_ns - before.frame.monotonic_ns > REFERENCE_MAX_AGE_S * 1e9:
        return None
    return before
