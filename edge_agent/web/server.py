"""Serves the microscope page in a thread of its own."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import uvicorn

from edge_agent.analysis.reading import Reading
from edge_agent.contracts import Result
from edge_agent.errors import WebPortTaken
from edge_agent.spool.settings import default_state_folder
from edge_agent.web.access.access import Access
from edge_agent.web.access.access_file import exposed_files, read_access
from edge_agent.web.access.connections import BoundedListener, header_deadline
from edge_agent.web.access.hosts import HostRule
from edge_agent.web.access.location import page_url
from edge_agent.web.access.protection import protect
from edge_agent.web.access.request_limits import MAX_BODY_BYTES
from edge_agent.web.access.sessions import Sessions
from edge_agent.web.access.tls import PageTls
from edge_agent.web.app import make_app
from edge_agent.web.broadcast import Broadcast, Happening
from edge_agent.web.device import Device
from edge_agent.web.history import History, ShownReading
from edge_agent.web.live.hub import LiveHub
from edge_agent.web.picture_maker import PictureMaker
from edge_agent.web.recall import recall
from edge_agent.web.settings import WebSettings

log = logging.getLogger(__name__)

_CLOSING_S = 2
"""How long a stop waits for answers in progress."""

_BACKLOG = 128
_RENEWAL_S = 3600


class MicroscopePage:
    """The server of the page of a ``Device``. The agent calls ``update`` for each reading.

    Holds the port from ``start`` to ``stop``; both may be called repeatedly.
    """

    def __init__(
        self,
        settings: WebSettings,
        state_folder: Path | None = None,
    ) -> None:
        """Nothing is bound yet. The device's own certificate is kept in ``state_folder``.

        Raises ``ConfigError`` if the access file cannot be used.
        """
        self._settings = settings
        self._state_folder = state_folder or default_state_folder()
        self._known = None if settings.access_file is None else read_access(settings.access_file)
        for exposed in exposed_files(settings):
            log.warning("%s", exposed, extra={"code": exposed.code})
        self._history = History()
        self._broadcast = Broadcast()
        self._pictures = PictureMaker(self._show)
        self._live: LiveHub | None = None
        self._running: tuple[uvicorn.Server, threading.Thread, BoundedListener, Access] | None = None

    @property
    def address(self) -> str:
        """The URL to open."""
        return page_url(self._settings, self._settings.host)

    def start(self, device: Device) -> None:
        """Bind the port, start to serve and return.

        Raises ``WebPortTaken``, and ``ConfigError`` or ``FileUnusable`` if a certificate cannot be used.
        """
        if self._running is not None:
            return
        settings = self._settings
        tls = PageTls(settings, self._state_folder) if settings.encrypted else None
        listener = BoundedListener(self._listen(), encrypted=settings.encrypted)
        hosts = HostRule(settings.host, settings.allowed_hosts)
        access = Access(
            self._known,
            Sessions(3600 * settings.session_hours),
            encrypted=settings.encrypted,
            on_failed_logins=device.record_failed_logins,
        )
        hub = self._live = LiveHub(device)
        config = uvicorn.Config(
            protect(
                make_app(device, self._history, self._broadcast, hub, access),
                access,
                hosts,
                strict_transport=settings.tls is not None,
            ),
            # The listener counts connections; uvloop would accept them by itself.
            loop="asyncio",
            http=header_deadline(),
            ws="websockets-sansio",
            ws_max_size=MAX_BODY_BYTES,
            backlog=_BACKLOG,
            # With these headers a peer could claim any address.
            proxy_headers=False,
            ssl_context_factory=None if tls is None else lambda _config, _default: tls.context,
            callback_notify=None if tls is None else tls.renew,
            timeout_notify=_RENEWAL_S,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            # The pictures are compressed already.
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=_CLOSING_S,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="web", daemon=True)
        thread.start()
        self._pictures.start(lambda: recall(device.collection))
        self._running = server, thread, listener, access
        log.info("microscope page at %s", self.address)

    def update(self, result: Result, reading: Reading) -> None:
        """Show this reading as soon as its pictures are made. Never waits."""
        self._pictures.add(result, reading)
        if self._live is not None:
            self._live.update(result, reading)

    def stop(self) -> None:
        """Stop serving and release the port. Does nothing if it is not serving."""
        running, self._running = self._running, None
        if running is None:
            return
        server, thread, listener, access = running
        self._broadcast.end()
        server.should_exit = True
        thread.join()
        if self._live is not None:
            self._live.stop()
        access.close()
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
        if shown.recalled:
            return
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
            # create_server appends more text to the reason in error.strerror.
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
