"""Takes frames from a camera, decides which are to be read, and reads them."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass

from edge_agent.acquisition.capture_requests import CaptureRequest, CaptureRequests
from edge_agent.acquisition.frame_requests import FrameRequest, FrameRequests
from edge_agent.acquisition.settings import TriggerSettings
from edge_agent.acquisition.trigger import Trigger
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.extraction import Extraction
from edge_agent.analysis.reading import PendingReading, Reading
from edge_agent.cameras import Camera, CameraPhase, CameraState, CameraSupervisor, CaptureCounters, Frame
from edge_agent.cameras.settings import CapturePolicy
from edge_agent.contracts import Result
from edge_agent.errors import AgentPaused
from edge_agent.watchdog import StallDetector

log = logging.getLogger(__name__)

REFERENCE_MAX_AGE_S = 1.0
"""A frame that is older than the one being read by more than this says nothing about motion."""

STUCK_S = 20.0
"""No frame takes this long on any board, so a thread that takes longer is stuck."""

IN_HAND_MAX = 2
"""Prepared frames that may wait for the network or be in it. With only one, each thread would wait for every delay of
the other."""


@dataclass(frozen=True, slots=True)
class PipelineCallbacks:
    """Functions that a pipeline calls in its own threads."""

    on_reading: Callable[[Reading], Result]
    """Called in the inference thread, the others in either thread. Returns the reading's message."""
    on_camera: Callable[[CameraState], None]
    on_end: Callable[[], None]
    """Called when there are no more frames, or enough were read; not after ``stop``."""
    on_failure: Callable[[BaseException], None]


class AnalysisPipeline:
    """The analysis threads from start to stop. To pause, or change more than the analyzer, create another pipeline.

    One thread takes frames and prepares them, while the other runs the network on the previous frame.
    """

    def __init__(
        self,
        make_camera: Callable[[], Camera],
        policy: CapturePolicy,
        analyzer: Analyzer,
        trigger: TriggerSettings,
        callbacks: PipelineCallbacks,
        *,
        max_readings: int | None = None,
        pause_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Nothing runs yet, and no camera is opened. After ``max_readings`` the pipeline ends by itself.

        ``pause_s`` is the least time from one reading to the next, apart from requests; it may change at any time.
        """
        self._analyzer = analyzer
        self._callbacks = callbacks
        self._trigger = Trigger(trigger, pause_s)
        self._requests = CaptureRequests()
        self._onlookers = FrameRequests()
        self._readings_left = max_readings
        self._stop = threading.Event()
        self._woken = threading.Event()
        self._enough = threading.Event()
        self._before = _Before()
        self._preparing, self._completing = StallDetector(STUCK_S), StallDetector(STUCK_S)
        self._supervisor = CameraSupervisor(
            make_camera, policy, self._stop, _camera_changed(self._before, callbacks.on_camera)
        )
        self._thread = threading.Thread(target=self._run, name="analysis", daemon=True)

    @property
    def stall_detectors(self) -> dict[str, StallDetector]:
        """The detectors of the threads, and of the wait for the camera."""
        return {
            "capture": self._supervisor.stall_detector,
            "analysis": self._preparing,
            "inference": self._completing,
        }

    @property
    def analysing(self) -> bool:
        """Whether a frame is being analysed at this moment."""
        return self._preparing.working or self._completing.working

    @property
    def counters(self) -> CaptureCounters:
        """Counters of the camera since this pipeline started."""
        return self._supervisor.counters

    def switch(self, analyzer: Analyzer) -> None:
        """Read with another analyzer from the next frame on; frames in hand are finished with the previous analyzer."""
        self._analyzer = analyzer

    def wake(self) -> None:
        """A camera was plugged in: look for it now."""
        self._supervisor.wake()

    def start(self) -> None:
        """Open the camera and read."""
        self._thread.start()

    def request(self) -> CaptureRequest:
        """Request a reading now, in any mode."""
        request = self._requests.add()
        self._woken.set()
        return request

    def withdraw(self, request: CaptureRequest) -> None:
        """Cancel ``request``."""
        self._requests.withdraw(request)

    def look_on(self) -> FrameRequest:
        """See the frames that pass from now on. The same frames are read as before."""
        request = self._onlookers.add()
        # A file waits until it is due, and may be shown meanwhile.
        self._woken.set()
        return request

    def look_away(self, request: FrameRequest) -> None:
        """End ``request``."""
        self._onlookers.withdraw(request)

    @property
    def requested(self) -> bool:
        """Whether a reading was requested and has not started."""
        return self._requests.waiting

    def stop(self) -> None:
        """Finish the current frame and release the camera. Requests that still wait get ``AgentPaused``."""
        self._end()
        if self._thread.ident is not None:
            self._thread.join()
        self._requests.cancel(AgentPaused("Reading was interrupted."))
        self._onlookers.cancel(AgentPaused("Reading was interrupted."))

    def _end(self) -> None:
        self._stop.set()
        self._woken.set()

    def _run(self) -> None:
        try:
            # Leaving the block waits for the current reading.
            with ThreadPoolExecutor(1, "inference") as inference:
                self._read(inference)
        except BaseException as failure:
            log.critical("the analysis thread failed", exc_info=failure)
            self._callbacks.on_failure(failure)
        else:
            if self._enough.is_set() or not self._stop.is_set():
                self._callbacks.on_end()

    def _read(self, inference: Executor) -> None:
        in_hand: deque[Future[None]] = deque()
        for frame in self._supervisor.frames():
            live = self._supervisor.live
            if not live:
                self._onlookers.offer(frame, live=False)
            self._consider(frame, inference, in_hand, live=live)
            if self._enough.is_set():
                return
            if live:
                # Offer it only now, so that onlookers are not busy with a frame while it is being prepared.
                self._onlookers.offer(frame, live=True)

    def _consider(self, frame: Frame, inference: Executor, in_hand: deque[Future[None]], *, live: bool) -> None:
        """Read a frame if it is due."""
        due = self._requests.due(frame, live=True) if live else self._wait_until_wanted(frame)
        now_s = time.monotonic()
        if self._stop.is_set() or not (self._requests.waiting or self._trigger.needs_decoding(now_s)):
            # While no frame is decoded, the next burst needs its own first frame.
            self._before.extraction = None
            return
        analyzer = self._analyzer
        with self._preparing.work():
            extracted = analyzer.extract(frame)
        before, self._before.extraction = self._before.extraction, extracted
        if live and before is None:
            # The first frame of a burst only serves for comparison with the second.
            return
        if self._trigger.wants(extracted.thumbnail, now_s, requested=due):
            with self._preparing.work():
                prepared = analyzer.prepare(extracted, previous=_reference(before, extracted))
            if len(in_hand) == IN_HAND_MAX:
                in_hand.popleft().result()
            if not self._enough.is_set():
                in_hand.append(
                    inference.submit(self._complete, analyzer, prepared, self._requests.take() if due else ())
                )

    def _wait_until_wanted(self, frame: Frame) -> bool:
        """Wait until a file's frame is due, since every file counts. True if it was requested."""
        while not self._stop.is_set():
            if self._requests.due(frame, live=False):
                return True
            wait_s = self._trigger.wait_s(time.monotonic())
            if wait_s is not None and wait_s <= 0:
                break
            self._woken.wait(wait_s)
            self._woken.clear()
            self._onlookers.offer(frame, live=False)
        return False

    def _complete(
        self, analyzer: Analyzer, prepared: PendingReading | Reading, served: Sequence[CaptureRequest]
    ) -> None:
        try:
            with self._completing.work():
                result = self._callbacks.on_reading(analyzer.complete(prepared))
        except BaseException as failure:
            log.critical("the inference thread failed", exc_info=failure)
            for request in served:
                request.result.set_exception(failure)
            self._callbacks.on_failure(failure)
            self._end()
            return
        for request in served:
            request.result.set_result(result)
        if self._readings_left is not None:
            self._readings_left -= 1
            if self._readings_left <= 0:
                # The analysis thread may be waiting for a frame that is no longer needed.
                self._enough.set()
                self._end()


@dataclass(slots=True)
class _Before:
    """The frame before the current one, None if it says nothing about motion."""

    extraction: Extraction | None = None


def _camera_changed(before: _Before, on_camera: Callable[[CameraState], None]) -> Callable[[CameraState], None]:
    """What the supervisor calls.

    No method of the pipeline, which would be kept by what it keeps itself, and with it its model: what was loaded
    before the first reading is spared by Python's collections.
    """

    def changed(state: CameraState) -> None:
        if state.phase is not CameraPhase.STREAMING:
            # A frame from before the camera was opened again says nothing about motion.
            before.extraction = None
        on_camera(state)

    return changed


def _reference(before: Extraction | None, extracted: Extraction) -> Extraction | None:
    if before is None or extracted.frame.monotonic_ns - before.frame.monotonic_ns > REFERENCE_MAX_AGE_S * 1e9:
        return None
    return before
