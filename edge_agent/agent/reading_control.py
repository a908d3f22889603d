"""Starts and stops the reading of frames: one pipeline at a time, replaced whenever something about it changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edge_agent.acquisition.frame_requests import FrameRequest
from edge_agent.acquisition.pipeline import AnalysisPipeline
from edge_agent.agent.calibration_run import FRAME_DEADLINE_S
from edge_agent.agent.status import DeviceStatus
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.cameras import CaptureCounters
from edge_agent.contracts import EventKind, Result
from edge_agent.errors import AgentPaused, CameraTimeout, EdgeAgentError
from edge_agent.events.recorder import EventRecorder
from edge_agent.watchdog import StallDetector


class ReadingControl:
    """Pauses, resumes and asks the pipeline. Any thread may use it."""

    def __init__(
        self,
        make_pipeline: Callable[[], AnalysisPipeline],
        status: DeviceStatus,
        events: EventRecorder,
        publish_status: Callable[[], None],
    ) -> None:
        """``make_pipeline`` is called now, and each time that reading begins again."""
        self._make_pipeline = make_pipeline
        self._status = status
        self._events = events
        self._publish_status = publish_status
        self._control = threading.RLock()
        self._stopping = False
        self._pipeline = make_pipeline()

    @property
    def analysing(self) -> bool:
        """Whether a frame is being analysed at this moment."""
        return self._pipeline.analysing

    @property
    def counters(self) -> CaptureCounters:
        """Counters of the camera since reading last began."""
        return self._pipeline.counters

    @property
    def stall_detectors(self) -> dict[str, StallDetector]:
        """The detectors of the pipeline's threads."""
        return self._pipeline.stall_detectors

    def start(self) -> None:
        """Open the camera and read."""
        self._pipeline.start()

    def stop(self) -> None:
        """Finish the current frame, and never read again."""
        with self._control:
            # A command that is still running must not start to read again.
            self._stopping = self._status.paused = True
            self._pipeline.stop()

    @contextmanager
    def interrupted(self) -> Iterator[None]:
        """Inside the block nothing is read; after it reading goes on with a new pipeline, unless it is paused."""
        with self._control:
            self._pipeline.stop()
            yield
            if not self._status.paused:
                self._begin()

    def switch(self, analyzer: Analyzer) -> None:
        """Read with another analyzer from the next frame on. ``make_pipeline`` must use it from now on, too."""
        with self._control:
            self._pipeline.switch(analyzer)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Inside the block nobody else pauses, resumes or interrupts."""
        with self._control:
            yield

    def pause(self) -> None:
        """Release the camera and read nothing until ``resume`` or a restart."""
        with self._control:
            if self._status.paused:
                return
            self._pipeline.stop()
            self._status.streaming = False
            self._status.paused = True
            self._events.record(EventKind.PAUSED, "Reading was paused.")
            self._publish_status()

    def resume(self) -> None:
        """Read again."""
        with self._control:
            if not self._status.paused or self._stopping:
                return
            self._status.paused = False
            self._events.record(EventKind.RESUMED, "Reading was resumed.")
            self._begin()
            self._publish_status()

    def trigger(self) -> None:
        """Request a reading now, in any mode. Another request before it has started changes nothing."""
        with self._control:
            if not self._pipeline.requested:
                self._pipeline.request()

    def look_for_camera(self) -> None:
        """Look for the camera now instead of at the next attempt: one may have been plugged in."""
        self._pipeline.wake()

    def capture(self) -> Result:
        """A reading of a frame that is exposed from now on, or of the next file.

        Raises ``AgentPaused``, or ``CameraTimeout`` if no frame comes.
        """
        with self._control:
            self._require_running()
            pipeline = self._pipeline
            request = pipeline.request()
        try:
            return request.result.result(FRAME_DEADLINE_S)
        except TimeoutError as error:
            pipeline.withdraw(request)
            raise self.no_frame() from error

    def look_on(self) -> FrameRequest:
        """See the frames that pass from now on. Raises ``AgentPaused``."""
        with self._control:
            self._require_running()
            return self._pipeline.look_on()

    def look_away(self, request: FrameRequest) -> None:
        """End that request."""
        self._pipeline.look_away(request)

    def no_frame(self) -> EdgeAgentError:
        """Why no frame came."""
        return self._status.camera_error or CameraTimeout(f"No frame came within {FRAME_DEADLINE_S:g} s.")

    def _require_running(self) -> None:
        if self._status.paused:
            raise AgentPaused("The agent is paused.")

    def _begin(self) -> None:
        self._pipeline = self._make_pipeline()
        self._pipeline.start()
