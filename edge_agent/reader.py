"""Takes frames from a camera, decides which are to be read, and reads them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.analysis import Analyzer, Reading, View
from edge_agent.cameras import Camera, CameraPhase, CameraState, CameraSupervisor, CaptureCounters
from edge_agent.cameras.settings import CapturePolicy
from edge_agent.trigger import Trigger, TriggerSettings

log = logging.getLogger(__name__)

REFERENCE_MAX_AGE_S = 1.0
"""A frame this much older than the one that is read says nothing about motion."""


@dataclass(frozen=True, slots=True)
class ReaderEvents:
    """Whom a reader tells, all in its own thread."""

    on_reading: Callable[[Reading], bool]
    """Returns whether to go on."""
    on_camera: Callable[[CameraState], None]
    on_end: Callable[[], None]
    """The frames have come to their end, or nobody wants more readings; not after ``stop``."""
    on_failure: Callable[[BaseException], None]


class Reader:
    """The analysis thread, from its start to its stop: to pause or change anything, stop it and make another."""

    def __init__(
        self,
        make_camera: Callable[[], Camera],
        policy: CapturePolicy,
        analyzer: Analyzer,
        trigger: TriggerSettings,
        events: ReaderEvents,
    ) -> None:
        """Nothing runs yet, and no camera is opened."""
        self._analyzer = analyzer
        self._events = events
        self._trigger = Trigger(trigger)
        self._stop = threading.Event()
        self._stirred = threading.Event()
        self._before: View | None = None
        self._supervisor = CameraSupervisor(make_camera, policy, self._stop, self._camera_changed)
        self._thread = threading.Thread(target=self._run, name="analysis", daemon=True)

    @property
    def counters(self) -> CaptureCounters:
        """Of the camera, since this reader began."""
        return self._supervisor.counters

    def start(self) -> None:
        """Open the camera and read."""
        self._thread.start()

    def request(self) -> None:
        """Ask for a reading now, whatever the mode."""
        self._trigger.request()
        self._stirred.set()

    def stop(self) -> None:
        """Finish the frame in hand and let go of the camera."""
        self._stop.set()
        self._stirred.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._read()
        except BaseException as failure:
            log.critical("the analysis thread failed", exc_info=failure)
            self._events.on_failure(failure)
        else:
            if not self._stop.is_set():
                self._events.on_end()

    def _read(self) -> None:
        for frame in self._supervisor.frames():
            if not self._supervisor.live:
                # Every frame of a file counts, so it is the file that waits.
                self._stirred.wait(self._trigger.wait_s(time.monotonic()))
                self._stirred.clear()
            if self._stop.is_set() or not self._trigger.looks(time.monotonic()):
                continue
            view = self._analyzer.view(frame)
            if self._supervisor.live and self._before is None:
                # The first frame of a burst only shows what the second is to be compared with.
                self._before = view
                continue
            if self._trigger.wants(view, time.monotonic()):
                reading = self._analyzer.read(view, before=_reference(self._before, view))
                if not self._events.on_reading(reading):
                    return
            # While no frame is worth decoding the next burst needs its own first frame.
            self._before = view if self._trigger.looks(time.monotonic()) else None

    def _camera_changed(self, state: CameraState) -> None:
        if state.phase is not CameraPhase.STREAMING:
            # What a camera saw before it was opened anew says nothing about motion.
            self._before = None
        self._events.on_camera(state)


def _reference(before: View | None, view: View) -> View | None:
    if before is None or view.frame.monotonic_ns - before.frame.monotonic_ns > REFERENCE_MAX_AGE_S * 1e9:
        return None
    return before
