"""Shows the camera's newest frame to all viewers, and does nothing while there are none."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from uuid import UUID

from edge_agent.acquisition.frame_requests import FrameRequest
from edge_agent.acquisition.settings import TriggerSettings
from edge_agent.acquisition.trigger import Thumbnail
from edge_agent.analysis.reading import Reading
from edge_agent.cameras import Frame
from edge_agent.contracts import Result
from edge_agent.errors import AgentPaused, AnalysisError, EdgeAgentError, ImageError
from edge_agent.priority import lower_priority
from edge_agent.vision.quality import change_pct
from edge_agent.web.device import Device
from edge_agent.web.live.frame import LiveFrame, frame_thumbnail
from edge_agent.web.live.messages import NoPicture, View

log = logging.getLogger(__name__)

VIEWERS_MAX = 16
INTERVAL_S = 0.08
"""Least time between two frames: a focus knob needs no more, and the analysis needs the processor."""
GIVE_WAY_S = 0.1
"""Longest time that a frame waits for the analysis of another frame."""
_GLANCE_S = 0.002
_POLL_S = 0.1
_ABSENT_S = 0.7
"""Time without a frame after which viewers are told why, and the time for which that answer is valid."""
_SAME_FIELD_PCT = TriggerSettings().rest_change_pct

_THUMBNAILS_KEPT = 16
"""Thumbnails that are kept, since a reading is finished a few frames after its own frame."""

_SOON = NoPicture(state="waiting", message="The next picture of the camera is awaited.")


class TooManyViewers(Exception):
    """No more viewers can look at the same time."""


class Viewer:
    """A person who is looking. Gets one picture for each request, always of the newest frame."""

    def __init__(self, hub: LiveHub, deliver: Callable[[bytes], None]) -> None:
        self._hub = hub
        self.deliver = deliver
        """Called with a message in the hub's thread."""
        self.wanted: View | None = None
        self.seen: tuple[int, View] | None = None
        """Number of the frame, and view, of the last picture."""

    def ask(self, view: View) -> None:
        """Ask for a picture that was not seen yet, as soon as there is one. Replaces a request that still waits."""
        self._hub.ask(self, view)

    @property
    def waits(self) -> bool:
        """Whether a picture was asked for and not delivered yet."""
        return self.wanted is not None

    def leave(self) -> None:
        """Stop looking."""
        self._hub.leave(self)


class LiveHub:
    """Takes frames from the device while there are viewers, in one thread of lower priority. Any thread may call it.

    A frame is decoded and measured once for all viewers, and compressed once for those with the same view.
    """

    def __init__(self, device: Device, *, viewers_max: int = VIEWERS_MAX, interval_s: float = INTERVAL_S) -> None:
        """Nothing runs until the first viewer joins."""
        self._device = device
        self._viewers_max = viewers_max
        self._interval_s = interval_s
        self._changed = threading.Condition()
        self._viewers: tuple[Viewer, ...] = ()
        self._thread: threading.Thread | None = None
        self._reading: tuple[UUID, Frame] | None = None
        self._absence = _SOON

    @property
    def absence(self) -> NoPicture:
        """The reason why there is no picture, for waiting viewers."""
        return self._absence

    def update(self, result: Result, reading: Reading) -> None:
        """From now on, say in the headers whether a frame still shows the field of this reading."""
        self._reading = result.id, reading.frame

    def join(self, deliver: Callable[[bytes], None]) -> Viewer:
        """Add a viewer. Raises ``TooManyViewers``."""
        with self._changed:
            if len(self._viewers) >= self._viewers_max:
                raise TooManyViewers
            viewer = Viewer(self, deliver)
            self._viewers = (*self._viewers, viewer)
            if self._thread is None:
                self._absence = _SOON
                self._thread = threading.Thread(target=self._run, name="live", daemon=True)
                self._thread.start()
            return viewer

    def ask(self, viewer: Viewer, view: View) -> None:
        """See ``Viewer.ask``."""
        with self._changed:
            viewer.wanted = view
            self._changed.notify_all()

    def leave(self, viewer: Viewer) -> None:
        """See ``Viewer.leave``."""
        with self._changed:
            self._viewers = tuple(each for each in self._viewers if each is not viewer)
            self._changed.notify_all()

    def stop(self) -> None:
        """End the thread, as if everyone had left."""
        with self._changed:
            self._viewers, thread = (), self._thread
            self._changed.notify_all()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        lower_priority()
        showing = _Showing(self._device)
        try:
            while self._is_asked():
                began_s = time.monotonic()
                if self._show_next(showing):
                    self._rest(began_s + self._interval_s)
        except Exception as error:  # viewers must not wait for a thread that is gone
            log.exception("the moving picture failed")
            with self._changed:
                self._thread = None
                self._viewers = ()
            self._absence = _reason(_defect(error))
        finally:
            showing.end()

    def _is_asked(self) -> bool:
        """Wait until a viewer asks. False if there are none: the thread ends."""
        with self._changed:
            self._changed.wait_for(lambda: not self._viewers or any(viewer.waits for viewer in self._viewers))
            if not self._viewers:
                self._thread = None
            return bool(self._viewers)

    def _rest(self, until_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._viewers, max(0.0, until_s - time.monotonic()))

    def _show_next(self, showing: _Showing) -> bool:
        """Show the next frame. False if there is none, or it cannot be shown."""
        try:
            frame = showing.next()
        except EdgeAgentError as error:
            self._absence = _reason(error)
            # Resumed or reloaded, the device has frames again.
            self._rest(time.monotonic() + _POLL_S)
            return False
        if frame is None:
            absence = showing.absence()
            if absence is not None:
                self._absence = absence
        else:
            self._give_way()
            showing.take(frame, {viewer.wanted for viewer in self._viewers if viewer.wanted is not None})
            self._absence = _SOON
        self._hand_out(showing)
        if showing.error is not None:
            self._absence = _reason(showing.error)
        return frame is not None

    def _give_way(self) -> None:
        """Wait until no frame is being analysed, but not for ever: on a busy device the picture moves slowly."""
        until_s = time.monotonic() + GIVE_WAY_S
        while self._device.analysing and (left_s := until_s - time.monotonic()) > 0:
            self._rest(time.monotonic() + min(left_s, _GLANCE_S))
            if not self._viewers:
                return

    def _hand_out(self, showing: _Showing) -> None:
        """Give the current frame to every viewer who has asked and has not seen it."""
        messages: dict[View, bytes] = {}
        for viewer in self._viewers:
            view = viewer.wanted
            if view is None or showing.current is None or viewer.seen == (showing.current.number, view):
                continue
            message = messages.get(view) or showing.message(view, self._reading)
            if message is None:
                return
            messages[view] = message
            with self._changed:
                # The viewer may have asked for another view meanwhile, which comes next.
                if viewer.wanted == view:
                    viewer.wanted = None
                viewer.seen = showing.current.number, view
            viewer.deliver(message)


class _Showing:
    """The state of the hub's thread from its start to its end."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._request: FrameRequest | None = None
        self._frame_at_s = time.monotonic()
        self._asked_at_s = float("-inf")
        self._count = 0
        self._thumbnails: deque[tuple[int, Thumbnail]] = deque(maxlen=_THUMBNAILS_KEPT)
        self._reading: tuple[UUID, Thumbnail | None] | None = None
        self._skipped_count = 0
        self.current: LiveFrame | None = None
        self.error: EdgeAgentError | None = None
        """The error in the latest frame; None if there is none."""

    def next(self) -> Frame | None:
        """The next frame; None if there is none for now. Raises the reason if there will be none."""
        if self._request is None:
            try:
                self._request = self._device.look_on()
            except EdgeAgentError:
                self.current = None
                raise
        try:
            return self._request.next(_POLL_S)
        except EdgeAgentError:
            # The device was paused or has changed its settings; looking again tells which.
            self.end()
            return None

    def take(self, frame: Frame, views: set[View]) -> None:
        """Make this the current frame, unless it cannot be shown."""
        self._frame_at_s = time.monotonic()
        self._count += 1
        self.error = None
        try:
            self.current = LiveFrame(frame, self._count, views)
            self._thumbnails.append((frame.monotonic_ns, self.current.thumbnail))
        except Exception as error:  # noqa: BLE001 - whatever a frame contains, the next one is shown
            self._skip(error)

    def message(self, view: View, latest: tuple[UUID, Frame] | None) -> bytes | None:
        """A viewer's message with the current frame; None if it cannot be shown after all."""
        if self.current is None:
            return None
        try:
            return self.current.message(view, reading=self._reading_shown(latest), skipped_count=self._skipped_count)
        except Exception as error:  # noqa: BLE001 - as above: a finer decoding may find damage
            self.current = None
            self._skip(error)
            return None

    def _skip(self, error: Exception) -> None:
        self._skipped_count += 1
        self.error = error if isinstance(error, EdgeAgentError) else _defect(error)

    def absence(self) -> NoPicture | None:
        """Why there has been no frame for a while; None if it is too early to tell, or was told already."""
        now_s = time.monotonic()
        if now_s < max(self._frame_at_s, self._asked_at_s) + _ABSENT_S:
            return None
        self._asked_at_s = now_s
        state = self._device.state()
        if state.paused:
            self.current = None
            return _reason(AgentPaused("The agent is paused."))
        problem = next((each for each in state.problems if each.part == "camera"), None)
        if problem is not None:
            self.current = None
            return NoPicture(state="camera_lost", code=problem.code, message=problem.message, remedy=problem.remedy)
        if not state.streaming:
            self.current = None
            return NoPicture(state="waiting", message="The camera is being opened.")
        return _SOON

    def _reading_shown(self, latest: tuple[UUID, Frame] | None) -> UUID | None:
        """The latest reading, if the current frame still shows its field."""
        if latest is None or self.current is None:
            return None
        reading, frame = latest
        if self._reading is None or self._reading[0] != reading:
            self._reading = reading, self._thumbnail_of(frame)
        of_reading = self._reading[1]
        if of_reading is None or change_pct(of_reading, self.current.thumbnail) > _SAME_FIELD_PCT:
            return None
        return reading

    def _thumbnail_of(self, frame: Frame) -> Thumbnail | None:
        """The thumbnail of a frame that was read; most were shown a moment ago. None if it cannot be decoded."""
        for captured_ns, known in self._thumbnails:
            if captured_ns == frame.monotonic_ns:
                return known
        try:
            return frame_thumbnail(frame)
        except ImageError:
            return None

    def end(self) -> None:
        """Ask the device for no more frames."""
        request, self._request = self._request, None
        if request is not None:
            self._device.look_away(request)


def _defect(error: Exception) -> AnalysisError:
    log.error("a frame cannot be shown", exc_info=error)
    return AnalysisError(f"{type(error).__name__}: {error}")


def _reason(error: EdgeAgentError) -> NoPicture:
    state = "paused" if isinstance(error, AgentPaused) else "waiting"
    return NoPicture.model_validate(
        {"state": state, "code": error.code, "message": error.message, "remedy": error.remedy}
    )
