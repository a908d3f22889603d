"""Serves the microscope page in a thread of its own."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import uvicorn

from edge_agent.analysis.reading import Reading
from edge_agent.contracts import Result
from edge_agent.errors import WebPortTaken
from edge_agent.web.app import make_app
from edge_agent.web.broadcast import Broadcast, Happening
from edge_agent.web.device import Device
from edge_agent.web.history import History, ShownReading
from edge_agent.web.hosts import HostRule
from edge_agent.web.picture_maker import PictureMaker
from edge_agent.web.settings import WebSettings

log = logging.getLogger(__name__)

_CLOSING_S = 2
"""How long a stop waits for answers that are being sent."""


class MicroscopePage:
    """The server of the page of a ``Device``. ``update`` is what the agent calls for each reading.

    Holds the port from ``start`` to ``stop``, both of which may be called repeatedly.
    """

    def __init__(self, settings: WebSettings) -> None:
        """Nothing is bound yet."""
        self._settings = settings
        self._history = History()
        self._broadcast = Broadcast()
        self._pictures = PictureMaker(self._show)
        self._running: tuple[uvicorn.Server, threading.Thread, socket.socket] | None = None

    @property
    def address(self) -> str:
        """The URL to open."""
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        return f"http://{host}:{self._settings.port}/"

    def start(self, device: Device) -> None:
        """Bind the port, start to serve and return. Raises ``WebPortTaken``."""
        if self._running is not None:
            return
        listener = self._listen()
        hosts = HostRule(self._settings.host, self._settings.allowed_hosts)
        config = uvicorn.Config(
            make_app(device, self._history, self._broadcast, hosts),
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=_CLOSING_S,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="web", daemon=True)
        thread.start()
        self._pictures.start()
        self._running = server, thread, listener
        log.info("microscope page at %s", self.address)

    def update(self, result: Result, reading: Reading) -> None:
        """Show this reading as soon as its pictures are made. Never waits."""
        self._pictures.add(result, reading)

    def stop(self) -> None:
        """Stop serving and release the port. Does nothing if it is not serving."""
        running, self._running = self._running, None
        if running is None:
            return
        server, thread, listener = running
        self._broadcast.end()
        server.should_exit = True
        thread.join()
        self._pictures.stop()
        listener.close()

    @contextmanager
    def serving(self, device: Device) -> Iterator[Self]:
        """Serve inside the block."""
        self.start(device)
        try:
            yield self
        finally:
            self.stop()

    def _show(self, shown: ShownReading) -> None:
        self._history.add(shown)
        self._broadcast.tell(Happening("reading", shown.result.to_json().decode()))

    def _listen(self) -> socket.socket:
        host, port = self._settings.host, self._settings.port
        try:
            # An address resolves to itself. For a name IPv4 is preferred, which every browser tries.
            found = sorted(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), key=lambda each: each[0])
            family, address = found[0][0], found[0][4]
            both = host == "::" and socket.has_dualstack_ipv6()
            return socket.create_server(address, family=family, dualstack_ipv6=both)
        except UnicodeError as error:
            raise WebPortTaken(f"'{host}' is not a host name.", remedy=_OTHER_HOST) from error
        except socket.gaierror as error:
            raise WebPortTaken(f"{host} cannot be resolved: {error.strerror}.", remedy=_OTHER_HOST) from error
        except OSError as error:
            number = error.errno or 0
            # error.strerror has more text from create_server behind the reason.
            raise WebPortTaken(
                f"The microscope page cannot listen on {host} port {port}: {os.strerror(number)}.",
                remedy=_REMEDIES.get(number),
            ) from error


_OTHER_HOST = "Set web.host to an address of this device, or to 127.0.0.1."
_REMEDIES = {
    errno.EADDRNOTAVAIL: _OTHER_HOST,
    errno.EAFNOSUPPORT: _OTHER_HOST,
    errno.EACCES: "Set web.port to 1024 or more; lower ports need root.",
}
