"""Bounds the connections to the microscope page, so that they never use up the device's file descriptors.

The camera, the spool and the broker need descriptors too; a process has 1,024 (systemd's ``LimitNOFILE=``).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

import h11
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from edge_agent.errors import WebBusy
from edge_agent.web.refusals import refuse_with

MAX_CONNECTIONS = 100
MAX_PER_ADDRESS = 40
"""A browser opens six, and one for a live picture; this leaves some for the other devices in the room."""

HEADER_S = 10.0
UNREAD_S = 20.0


class BoundedListener(socket.socket):
    """A listening socket that keeps few connections open, and closes any more at once.

    Without TLS it tells them why. A peer that leaves data unread for ``unread_s`` is dropped by the kernel
    (``TCP_USER_TIMEOUT``, Linux), whatever waits to be sent.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        encrypted: bool,
        max_connections: int = MAX_CONNECTIONS,
        max_per_address: int = MAX_PER_ADDRESS,
        unread_s: float = UNREAD_S,
    ) -> None:
        """Take over ``listener``."""
        super().__init__(listener.family, listener.type, listener.proto, fileno=listener.detach())
        self._encrypted = encrypted
        self._max_connections = max_connections
        self._max_per_address = max_per_address
        self._open: Counter[str] = Counter()
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * unread_s))

    @property
    def connections_count(self) -> int:
        """Number of open connections."""
        return self._open.total()

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection. Raises ``ConnectionAbortedError`` if it is one too many, which asyncio ignores."""
        accepted, peer = super().accept()
        address = peer[0]
        if self._open.total() >= self._max_connections or self._open[address] >= self._max_per_address:
            self._turn_away(accepted)
            raise ConnectionAbortedError
        self._open[address] += 1
        return _Connection(accepted, lambda: self._forget(address)), peer

    def _forget(self, address: str) -> None:
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]

    def _turn_away(self, accepted: socket.socket) -> None:
        with accepted, contextlib.suppress(OSError):
            if not self._encrypted:
                accepted.settimeout(0)
                accepted.send(_BUSY)


class _Connection(socket.socket):
    """A connection that reports when it is closed."""

    def __init__(self, accepted: socket.socket, on_close: Callable[[], None]) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self._on_close: Callable[[], None] | None = on_close

    def close(self) -> None:
        """Close the connection, and report it once."""
        on_close, self._on_close = self._on_close, None
        super().close()
        if on_close is not None:
            on_close()


def header_deadline(header_s: float = HEADER_S) -> type[H11Protocol]:
    """An HTTP protocol for uvicorn that drops clients whose request has no complete head ``header_s`` after it began.

    By itself uvicorn waits for ever once a byte has come.
    """

    class Deadline(H11Protocol):
        def __init__(
            self,
            config: Config,
            server_state: ServerState,
            app_state: dict[str, Any],
            _loop: asyncio.AbstractEventLoop | None = None,
        ) -> None:
            super().__init__(config, server_state, app_state, _loop)
            self._head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
            super().connection_made(transport)
            self._begin()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is h11.IDLE:
                self._begin()
            else:
                self._end()

        def connection_lost(self, exc: Exception | None) -> None:
            self._end()
            super().connection_lost(exc)

        def _begin(self) -> None:
            if self._head_timer is None:
                # Do not close it: over TLS that would wait for an answer.
                self._head_timer = self.loop.call_later(header_s, self.transport.abort)

        def _end(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

    return Deadline


def _busy() -> bytes:
    body = bytes(refuse_with(503, WebBusy("The microscope page has as many connections as it can.")).body)
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\nRetry-After: 5\r\n\r\n"
    )
    return head.encode() + body


_BUSY = _busy()
