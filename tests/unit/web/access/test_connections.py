"""Many, slow and large requests: the server on real sockets stays within its limits and answers the others."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import numpy as np
import pytest
import uvicorn
from numpy.typing import NDArray
from starlette.types import Receive, Scope, Send
from uuid_utils.compat import uuid7

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import ColourOrder, Pixels, frame_now
from edge_agent.cli.local_broker import free_port
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.settings import QualityLimits
from edge_agent.web.access.connections import MAX_CONNECTIONS, MAX_PER_ADDRESS, BoundedListener, header_deadline
from edge_agent.web.server import MicroscopePage
from edge_agent.web.settings import WebSettings
from tests.page_access import write_access
from tests.page_device import FakeDevice

LOOPBACK = "127.0.0.1"
PATIENCE_S = 60
"""Only for requests that would otherwise hang."""


def wanted() -> WebSettings:
    return WebSettings(enabled=True, port=free_port())


def status(port: int) -> int:
    """The status of an ordinary request, tried again while the server closes what others have left open."""
    while True:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE_S)
        with contextlib.closing(connection), contextlib.suppress(ConnectionError):
            connection.request("GET", "/session")
            answer = connection.getresponse().status
            if answer != 503:
                return answer


def read_all(peer: socket.socket) -> bytes:
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while chunk := peer.recv(65536):
            received += chunk
    return bytes(received)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_thousand_connections_at_once_are_bounded_while_readings_go_on(smear: NDArray[np.uint8]) -> None:
    reading = Analyzer(Classifier(load_bundle("demo")), QualityLimits()).analyse(
        frame_now("camera0", Pixels(smear, ColourOrder.RGB))
    )
    result = ResultMaker("clinic-a", "scope-1", uuid7()).make(reading)
    settings = wanted()
    with MicroscopePage(settings).serving(FakeDevice()) as page, contextlib.ExitStack() as flood:
        assert page._running is not None
        listener = page._running[2]
        events = flood.enter_context(
            httpx2.stream("GET", f"http://{LOOPBACK}:{settings.port}/events", timeout=PATIENCE_S)
        ).iter_lines()
        assert next(events) == "event: state"
        most = 0
        for _ in range(1000):
            flood.enter_context(socket.create_connection((LOOPBACK, settings.port), PATIENCE_S))
            most = max(most, listener.connections_count)
        # Earlier viewers see the next reading, and another machine's request is answered, while all are still open.
        page.update(result, reading)
        assert "event: reading" in events
        with socket.create_connection((LOOPBACK, settings.port), PATIENCE_S, ("127.0.0.9", 0)) as other:
            other.sendall(b"GET /session HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert read_all(other).startswith(b"HTTP/1.1 200")
        assert 0 < most <= MAX_PER_ADDRESS < MAX_CONNECTIONS
        flood.close()
        assert status(settings.port) == 200


def test_one_too_many_is_told_why() -> None:
    with BoundedListener(socket.create_server((LOOPBACK, 0)), encrypted=False, max_connections=1) as listener:
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as first:
            with socket.create_connection(listener.getsockname(), PATIENCE_S) as second:
                with pytest.raises(ConnectionAbortedError):
                    listener.accept()
                answer = read_all(second)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b'"code":"web_busy"' in answer
            assert listener.connections_count == 1
            first.close()
            first.close()
            assert listener.connections_count == 0
        with socket.create_connection(listener.getsockname()), listener.accept()[0]:
            assert listener.connections_count == 1


def test_over_tls_one_too_many_is_only_closed() -> None:
    with (
        BoundedListener(socket.create_server((LOOPBACK, 0)), encrypted=True, max_connections=0) as listener,
        socket.create_connection(listener.getsockname(), PATIENCE_S) as peer,
    ):
        with pytest.raises(ConnectionAbortedError):
            listener.accept()
        assert read_all(peer) == b""


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_of_100_mb_is_refused_and_not_read(*, announced: bool) -> None:
    settings = wanted()
    length = b"Content-Length: 104857600" if announced else b"Transfer-Encoding: chunked"
    chunk = bytes(65536) if announced else b"10000\r\n" + bytes(65536) + b"\r\n"
    with MicroscopePage(settings).serving(FakeDevice()):
        with socket.create_connection((LOOPBACK, settings.port), PATIENCE_S) as peer:
            peer.sendall(b"POST /session HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\n\r\n")
            sent_bytes = 0
            with contextlib.suppress(ConnectionError):
                for _ in range(1600):
                    peer.sendall(chunk)
                    sent_bytes += len(chunk)
            answer = read_all(peer)
        assert sent_bytes < 20 * 2**20, "no more than the kernel holds"
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b'"code":"body_too_large"' in answer
        assert status(settings.port) == 200


@contextmanager
def served(application: object, *, header_s: float = 60, unread_s: float = 60) -> Iterator[tuple[str, int]]:
    """The address of a server with these deadlines."""
    listener = BoundedListener(socket.create_server((LOOPBACK, 0)), encrypted=False, unread_s=unread_s)
    address = listener.getsockname()
    config = uvicorn.Config(
        application,  # type: ignore[arg-type]  # a bare application
        http=header_deadline(header_s),
        loop="asyncio",
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join()


async def say_hello(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.parametrize("beginning", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_a_request_that_never_gets_its_head_together_is_dropped(beginning: bytes) -> None:
    with served(say_hello, header_s=0.05) as address, socket.create_connection(address, PATIENCE_S) as peer:
        peer.sendall(beginning)
        assert read_all(peer) == b""


def test_the_next_request_of_a_connection_has_a_deadline_too() -> None:
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with served(say_hello, header_s=0.5) as address, socket.create_connection(address, PATIENCE_S) as peer:
        peer.sendall(request)
        first = b""
        while not first.endswith(b"ok"):
            first += peer.recv(65536)
        peer.sendall(b"GET / HT")
        assert read_all(peer) == b""


def test_a_long_answer_is_not_cut_by_the_heads_deadline() -> None:
    async def slowly(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(5):
            await asyncio.sleep(0.05)
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body", "body": b"end"})

    with served(slowly, header_s=0.1) as address, socket.create_connection(address, PATIENCE_S) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"end" in read_all(peer)


def test_a_reader_who_does_not_read_is_dropped() -> None:
    ended = threading.Event()

    async def flood(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.ensure_future(_disconnected(receive))
        while not gone.done():
            await send({"type": "http.response.body", "body": bytes(2**20), "more_body": True})
            await asyncio.sleep(0)
        ended.set()

    with served(flood, unread_s=0.5) as address, socket.create_connection(address) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert ended.wait(PATIENCE_S), "without reading, the connection lasts for ever"


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def test_connections_that_only_shake_hands_are_bounded_too(tmp_path: Path) -> None:
    settings = WebSettings(enabled=True, host="0.0.0.0", port=free_port(), access_file=write_access(tmp_path))  # noqa: S104 - nothing is bound
    with MicroscopePage(settings, tmp_path).serving(FakeDevice()), contextlib.ExitStack() as stack:
        before = open_descriptors()
        for _ in range(200):
            stack.enter_context(socket.create_connection((LOOPBACK, settings.port), PATIENCE_S))
        assert open_descriptors() - before <= 200 + MAX_PER_ADDRESS
