"""Serves the live view in a thread of its own."""

from __future__ import annotations

import logging
import socket
import threading

import uvicorn

from edge_agent.analysis.analyzer import Reading
from edge_agent.contracts import Result
from edge_agent.errors import WebPortTaken
from edge_agent.web.app import Latest, make_app
from edge_agent.web.settings import WebSettings

log = logging.getLogger(__name__)

_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised, not bound


class LiveView:
    """The server. ``update`` is what the agent calls for each reading."""

    def __init__(self, settings: WebSettings) -> None:
        """Take the port. Raises ``WebPortTaken``."""
        self._settings = settings
        self._latest = Latest()
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        self._socket = socket.socket(family)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((settings.host, settings.port))
            # At once: with SO_REUSEADDR a second server could bind as long as nobody listens.
            self._socket.listen()
        except OSError as error:
            self._socket.close()
            raise WebPortTaken(f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}.") from error
        allowed = ["*"] if settings.host in _EVERYWHERE else [settings.host, "localhost"]
        config = uvicorn.Config(
            make_app(self._latest, allowed), log_level="warning", access_log=False, server_header=False, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="web", daemon=True
        )

    @property
    def address(self) -> str:
        """Where to look."""
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        return f"http://{host}:{self._settings.port}/"

    def start(self) -> None:
        """Begin to serve, and return."""
        self._thread.start()
        log.info("live view at %s", self.address)

    def update(self, result: Result, reading: Reading) -> None:
        """Show this from now on."""
        self._latest.set(result, reading)

    def stop(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join()
        self._socket.close()
