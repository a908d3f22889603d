"""Decides when a frame is read. Three modes, as a state machine without clocks or threads of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge_agent.acquisition.settings import TriggerSettings
from edge_agent.vision.quality import change_pct

Thumbnail = NDArray[np.uint8]
"""uint8 grey (32, 32)."""


class Trigger:
    """Decides frame by frame, by the thumbnails of their fields. Belongs to one thread."""

    def __init__(self, settings: TriggerSettings, pause_s: Callable[[], float] = lambda: 0.0) -> None:
        """``pause_s`` is the least time from one reading to the next, apart from requests; it may change."""
        self._settings = settings
        self._pause_s = pause_s
        self._due_s = self._read_s = float("-inf")
        self._before: Thumbnail | None = None
        self._read: Thumbnail | None = None
        self._has_read = False
        self._resting_frames = 0

    def wait_s(self, now_s: float) -> float | None:
        """How long a file waits before it is read, in seconds. None: until it is requested."""
        rested_s = self._read_s + self._pause_s()
        match self._settings.mode:
            case "continuous":
                return max(0.0, self._due_s - now_s, rested_s - now_s)
            case "settled":
                return max(0.0, rested_s - now_s)
            case "triggered":
                return None

    def needs_decoding(self, now_s: float) -> bool:
        """Whether the current frame needs to be decoded, apart from requests."""
        wait_s = self.wait_s(now_s)
        return wait_s is not None and wait_s <= 0

    def wants(self, thumbnail: Thumbnail | None, now_s: float, *, requested: bool = False) -> bool:
        """Whether a field is to be read. Call it for every frame that was decoded.

        ``thumbnail`` is None for a frame without a field.
        """
        before, self._before = self._before, thumbnail
        match self._settings.mode:
            case "continuous":
                wanted = self.needs_decoding(now_s)
                if wanted:
                    # Keep the pace, but do not catch up when late.
                    late = now_s - self._due_s > self._settings.interval_s
                    self._due_s = (now_s if late else self._due_s) + self._settings.interval_s
            case "triggered":
                wanted = False
            case "settled":
                # Resting frames count even while no reading is allowed yet.
                wanted = self._has_settled(before, thumbnail) and self.needs_decoding(now_s)
        if wanted or requested:
            self._read, self._has_read, self._read_s = thumbnail, True, now_s
        return wanted or requested

    def _has_settled(self, before: Thumbnail | None, thumbnail: Thumbnail | None) -> bool:
        if thumbnail is None:
            # A frame without a field cannot settle. It is reported once, not for every frame.
            self._resting_frames = 0
            return not self._has_read or self._read is not None
        change = 100.0 if before is None else change_pct(before, thumbnail)
        self._resting_frames = self._resting_frames + 1 if change <= self._settings.rest_change_pct else 0
        if self._resting_frames < self._settings.rest_frames_count:
            return False
        if self._read is None:
            return True
        return change_pct(self._read, thumbnail) >= self._settings.new_field_change_pct
