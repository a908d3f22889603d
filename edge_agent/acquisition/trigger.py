"""When is a frame worth a reading? Three modes, as a state machine without clocks or threads of its own."""

from __future__ import annotations

import threading
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent.settings import Settings
from edge_agent.vision.quality import change_pct


class TriggerSettings(Settings):
    """Section ``[trigger]``."""

    mode: Literal["continuous", "settled", "triggered"] = Field(
        default="continuous",
        description="continuous: every interval_s; settled: each new field once the stage rests; "
        "triggered: on signal SIGUSR1 or the command 'capture'.",
    )
    interval_s: float = Field(default=2.0, ge=0, le=86400, description="Between two readings in mode continuous.")
    rest_frames_count: int = Field(
        default=3, ge=1, le=100, description="Frames in a row that must hardly differ for the stage to be at rest."
    )
    rest_change_pct: float = Field(
        default=1.5, ge=0, le=100, description="Mean change of grey level that still counts as rest."
    )
    new_field_change_pct: float = Field(
        default=4.0, ge=0, le=100, description="Mean change against the field read last that makes a field new."
    )


class Seen(Protocol):
    """What the trigger needs of a field."""

    @property
    def thumbnail(self) -> NDArray[np.uint8] | None:
        """uint8 grey (32, 32), or None for a frame that has no field."""
        ...


class Trigger:
    """Decides frame by frame. ``request`` may come from any thread, all else from one."""

    def __init__(self, settings: TriggerSettings) -> None:
        self._settings = settings
        self._requested = threading.Event()
        self._due_s = float("-inf")
        self._last: Seen | None = None
        self._read: Seen | None = None
        self._resting_frames = 0

    def request(self) -> None:
        """Ask for a reading of the next frame, in any mode. Asking again before it came changes nothing."""
        self._requested.set()

    def wait_s(self, now_s: float) -> float:
        """How long until a frame can be of interest, in seconds; 0 for now or if only frames can tell."""
        if self._requested.is_set():
            return 0.0
        return max(0.0, self._due_s - now_s) if self._settings.mode == "continuous" else 0.0

    def looks(self, now_s: float) -> bool:
        """Whether the frame of now is worth decoding."""
        if self._requested.is_set():
            return True
        match self._settings.mode:
            case "continuous":
                return now_s >= self._due_s
            case "triggered":
                return False
            case "settled":
                return True

    def wants(self, field: Seen, now_s: float) -> bool:
        """Whether ``field`` is to be read. Call it for every frame that ``looks`` let through."""
        before, self._last = self._last, field
        requested = self._requested.is_set()
        self._requested.clear()
        match self._settings.mode:
            case "continuous":
                wanted = True
                # Keeps the pace, but does not catch up on what it is late for.
                late = now_s - self._due_s > self._settings.interval_s
                self._due_s = (now_s if late else self._due_s) + self._settings.interval_s
            case "triggered":
                wanted = requested
            case "settled":
                wanted = self._has_settled(before, field) or requested
        if wanted:
            self._read = field
        return wanted

    def _has_settled(self, before: Seen | None, field: Seen) -> bool:
        if field.thumbnail is None:
            # A frame without a field has nothing to settle: it is reported once, not once a frame.
            self._resting_frames = 0
            return self._read is None or self._read.thumbnail is not None
        change = 100.0 if before is None or before.thumbnail is None else change_pct(before.thumbnail, field.thumbnail)
        self._resting_frames = self._resting_frames + 1 if change <= self._settings.rest_change_pct else 0
        if self._resting_frames < self._settings.rest_frames_count:
            return False
        if self._read is None or self._read.thumbnail is None:
            return True
        return change_pct(self._read.thumbnail, field.thumbnail) >= self._settings.new_field_change_pct
