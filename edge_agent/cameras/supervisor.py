"""Keeps frames coming from a camera that may vanish, stall or hang."""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from edge_agent.cameras.camera import Camera
from edge_agent.cameras.camera_worker import CameraWorker
from edge_agent.cameras.frame import Encoded, Frame, Pixels
from edge_agent.cameras.settings import CapturePolicy
from edge_agent.errors import CameraError, CameraStalled, CameraTimeout, EdgeAgentError, EndOfFrames
from edge_agent.watchdog import StallDetector

_log = logging.getLogger(__name__)

ABANDONED_MAX = 3
"""Threads that may hang in a driver before the process must be restarted."""

_CLOSE_GRACE_S = 2.0
_STOP_POLL_S = 0.2
_HANGS_S = 15.0
"""Time beyond the deadline."""


class CameraPhase(StrEnum):
    """The phase that the camera is in."""

    OPENING = "opening"
    STREAMING = "streaming"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class CameraState:
    """A change of the camera's phase. ``error`` is why it is lost."""

    phase: CameraPhase
    error: EdgeAgentError | None = None


@dataclass(frozen=True, slots=True)
class CaptureCounters:
    """Counts since the supervisor started. Every frame of a live camera is in one of the first three."""

    frames_count: int
    """Frames passed on."""
    superseded_count: int
    """Frames dropped because a newer one came first."""
    identical_count: int
    """Frames dropped because they were identical to the one before."""
    reopened_count: int


class CameraSupervisor:
    """Runs one camera at a time. After a failure it opens a new one: after a wait that grows each time, or when woken.

    The camera has its own thread, which is abandoned if it hangs in the driver.
    """

    def __init__(
        self,
        make: Callable[[], Camera],
        policy: CapturePolicy,
        stop: threading.Event,
        on_state: Callable[[CameraState], None],
    ) -> None:
        self._make = make
        self._policy = policy
        self._stop = stop
        self._on_state = on_state
        self._abandoned: list[threading.Thread] = []
        self._fingerprint: int | None = None
        self._frames_count = 0
        self._superseded_count = 0
        self._identical_count = 0
        self._reopened_count = 0
        self._worker: CameraWorker | None = None
        self._woken = threading.Event()
        # The deadline detects a camera that hangs; this detector notices if even the deadline fails.
        self.stall_detector = StallDetector(policy.deadline_s + _HANGS_S)

    def wake(self) -> None:
        """Open the camera again without further waiting. Any thread may call it."""
        self._woken.set()

    @property
    def counters(self) -> CaptureCounters:
        """The counters as of now."""
        worker = self._worker
        return CaptureCounters(
            frames_count=self._frames_count,
            superseded_count=self._superseded_count + (worker.superseded_count if worker else 0),
            identical_count=self._identical_count,
            reopened_count=self._reopened_count,
        )

    @property
    def live(self) -> bool:
        """Whether the open camera is live; False while none is open."""
        worker = self._worker
        return worker is not None and worker.live

    def frames(self) -> Iterator[Frame]:
        """Frames until the camera has no more or ``stop`` is set.

        Raises ``CameraTimeout`` if too many threads hang in drivers, and anything a camera raises that is not a
        ``CameraError``: that is a bug, which reopening would hide.
        """
        wait_s = self._policy.reopen_initial_s
        while not self._stop.is_set():
            self._refuse_too_many_abandoned()
            self._on_state(CameraState(CameraPhase.OPENING))
            worker = self._worker = CameraWorker(self._make)
            worker.start()
            try:
                for frame in self._stream(worker):
                    wait_s = self._policy.reopen_initial_s
                    yield frame
            except EndOfFrames:
                return
            except CameraError as error:
                lost = error
            else:
                return
            finally:
                self._end(worker)
            _log.warning("%s Opening it again in %g s.", lost, wait_s)
            self._on_state(CameraState(CameraPhase.LOST, lost))
            woken = self._rest(wait_s)
            if self._stop.is_set():
                return
            # A camera that was plugged in a moment ago may need another one.
            wait_s = self._policy.reopen_initial_s if woken else min(2 * wait_s, self._policy.reopen_max_s)
            self._reopened_count += 1

    def _rest(self, wait_s: float) -> bool:
        """Wait for ``wait_s``, until woken or until ``stop`` is set. Whether it was woken."""
        while wait_s > 0 and not self._woken.is_set():
            if self._stop.wait(min(_STOP_POLL_S, wait_s)):
                return False
            wait_s -= _STOP_POLL_S
        woken = self._woken.is_set()
        # Clear it only now: a camera plugged in a moment ago must not wait for the next attempt.
        self._woken.clear()
        return woken

    def _stream(self, worker: CameraWorker) -> Iterator[Frame]:
        """The worker's frames, without repetitions, until ``stop`` is set."""
        self._wait(worker.opened, "did not open")
        identical_count = 0
        streaming = False
        while True:
            self._wait(worker.ready, "gave no frame")
            if self._stop.is_set():
                return
            frame = worker.take()
            if worker.live and self._repeats(frame):
                identical_count += 1
                self._identical_count += 1
                if identical_count >= self._policy.identical_frames_max:
                    raise CameraStalled(f"Camera {frame.camera} gave the same frame {identical_count + 1} times.")
                continue
            identical_count = 0
            if not streaming:
                streaming = True
                self._on_state(CameraState(CameraPhase.STREAMING))
            self._frames_count += 1
            yield frame

    def _wait(self, ready: Callable[[float], bool], failure: str) -> None:
        """Wait for ``ready`` or ``stop``. Raises ``CameraTimeout`` at the deadline."""
        left_s = self._policy.deadline_s
        with self.stall_detector.work():
            while not ready(min(_STOP_POLL_S, left_s)) and not self._stop.is_set():
                left_s -= _STOP_POLL_S
                if left_s <= 0:
                    raise CameraTimeout(f"The camera {failure} within {self._policy.deadline_s:g} s.")

    def _repeats(self, frame: Frame) -> bool:
        """Whether a frame is identical to the one before.

        Remembered across reopening: a camera that returns its last picture again is still stuck.
        """
        match frame.image:
            case Pixels(array=array):
                fingerprint = zlib.crc32(np.ascontiguousarray(array).data)
            case Encoded(data=data):
                fingerprint = zlib.crc32(data)
            case _:
                return False
        repeats, self._fingerprint = fingerprint == self._fingerprint, fingerprint
        return repeats

    def _end(self, worker: CameraWorker) -> None:
        hanging = worker.end(min(self._policy.deadline_s, _CLOSE_GRACE_S))
        self._superseded_count += worker.superseded_count
        self._worker = None
        if hanging:
            _log.error("%s: A camera hangs in its driver; its thread was abandoned.", CameraTimeout.code)
            self._abandoned += hanging

    def _refuse_too_many_abandoned(self) -> None:
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
        if len(self._abandoned) > ABANDONED_MAX:
            raise CameraTimeout(
                f"{len(self._abandoned)} threads hang in the camera's driver.",
                remedy="The process must be restarted; systemd does that. Check cable and power of the camera.",
            )
