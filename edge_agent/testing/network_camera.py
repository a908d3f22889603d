"""A network camera on this machine: Motion JPEG over HTTP, as IP cameras and mjpg-streamer serve it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np

from edge_agent.cameras.frame import ColourOrder
from edge_agent.testing.colour_card import colour_card

FRAME_INTERVAL_S = 0.02


def changing_card(number: int) -> bytes:
    """The colour card as JPEG, with a different brightness at its upper edge each time."""
    card = colour_card(ColourOrder.BGR)
    card[:4] = number % 250
    return np.asarray(cv2.imencode(".jpg", card)[1], np.uint8).tobytes()


class NetworkCamera(ThreadingHTTPServer):
    """Serves picture after picture at ``http://{address}/live``. Run it with ``serve_forever``.

    :param picture: the bytes of picture ``n``, from 1; they are sent as a JPEG, whatever they are.
    """

    daemon_threads = True

    def __init__(self, picture: Callable[[int], bytes] = changing_card) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.picture = picture
        self.cut = threading.Event()
        """If set, the current connection is cut. The next one is served again."""
        self.stall = threading.Event()
        """If set, the current connection stays open and sends nothing more. The next one is served again."""
        self.stopping = threading.Event()
        """If set, all connections end."""
        self.connections_count = 0
        self.requests: list[str] = []
        """The requested paths, with their queries."""
        self.password: str | None = None
        """Required user and password in Base64, if any."""

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: NetworkCamera

    def log_message(self, *arguments: Any) -> None:  # noqa: ANN401 - takes what the base takes
        """Log nothing."""

    def do_GET(self) -> None:
        """Serve pictures until an event above is set."""
        self.server.requests.append(self.path)
        if self.path.partition("?")[0] != "/live":
            self.send_error(404)
            return
        if self.server.password and self.headers["Authorization"] != f"Basic {self.server.password}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="scope"')
            self.end_headers()
            return
        self.server.connections_count += 1
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        number = 0
        while not self.server.stopping.wait(FRAME_INTERVAL_S):
            if self.server.cut.is_set():
                self.server.cut.clear()
                return
            if self.server.stall.is_set():
                self.server.stall.clear()
                self.server.stopping.wait()
                return
            number += 1
            jpeg = self.server.picture(number)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + jpeg + b"\r\n")
            except (BrokenPipeError, ConnectionResetError):
                return
