"""Calls from other threads to the publisher's thread."""

from __future__ import annotations

import contextlib
import queue
import select
import socket
from collections.abc import Callable


class Calls:
    """Calls from any thread, executed in one thread that waits for them and for a socket."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._ends: tuple[socket.socket, socket.socket] | None = None

    def open(self) -> None:
        """Create the sockets that end a wait."""
        ends = socket.socketpair()
        for end in ends:
            end.settimeout(0)
        self._ends = ends

    def close(self) -> None:
        """Close the sockets. Later calls are accepted but never executed."""
        ends, self._ends = self._ends, None
        for end in ends or ():
            end.close()

    def put(self, call: Callable[[], None]) -> None:
        """Have ``call`` executed soon, and end a wait."""
        self._calls.put(call)
        ends = self._ends
        if ends is not None:
            # Full: there is enough in it to end the wait. Closed: nothing is waiting.
            with contextlib.suppress(OSError):
                ends[1].send(b"\0")

    def wake(self) -> None:
        """End a wait."""
        self.put(lambda: None)

    def wait(self, timeout_s: float, connection: socket.socket | None, *, writes: bool) -> None:
        """Wait for a call, for ``connection`` to be readable (or writable, if ``writes``), or for the time-out."""
        if self._ends is None:
            return
        poll = select.poll()
        poll.register(self._ends[0], select.POLLIN)
        if connection is not None and connection.fileno() >= 0:
            poll.register(connection, select.POLLIN | (select.POLLOUT if writes else 0))
        poll.poll(max(0.0, timeout_s) * 1000)
        with contextlib.suppress(BlockingIOError):
            self._ends[0].recv(4096)

    def next(self) -> Callable[[], None] | None:
        """The oldest waiting call; None if there is none."""
        try:
            return self._calls.get_nowait()
        except queue.Empty:
            return None
