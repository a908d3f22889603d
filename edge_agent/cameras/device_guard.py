"""Closes a device from any thread although its driver allows only one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edge_agent.errors import CameraLost


class DeviceGuard:
    """Delays a close until the current call has returned.

    Releasing an OpenCV capture while another thread reads from it unmaps memory in use, and the process dies. So
    ``close`` releases at once if the device is not in use; else its user releases it afterwards.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._release: Callable[[], None] | None = None
        self._in_use = False
        self._closed = False

    @contextmanager
    def use(self) -> Iterator[None]:
        """Wrap every call into the driver in this context. Raises ``CameraLost`` once closed."""
        with self._lock:
            if self._closed:
                raise CameraLost(f"{self._name} was closed.")
            self._in_use = True
        try:
            yield
        finally:
            self._finish_use()

    def hold(self, release: Callable[[], None]) -> None:
        """Register that the device is open and that ``release`` closes it. Called inside ``use``."""
        with self._lock:
            self._release = release

    def close(self) -> None:
        """Close the device, now or after the current call."""
        with self._lock:
            self._closed = True
            release = None if self._in_use else self._take_release()
        if release:
            release()

    def _finish_use(self) -> None:
        with self._lock:
            self._in_use = False
            release = self._take_release() if self._closed else None
        if release:
            release()

    def _take_release(self) -> Callable[[], None] | None:
        release, self._release = self._release, None
        return release
