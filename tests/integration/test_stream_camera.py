from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np
import pytest

from edge_agent.cameras.frame import ColourOrder, Frame, Pixels
from edge_agent.cameras.settings import CapturePolicy, StreamSettings
from edge_agent.cameras.supervisor import CameraPhase, CameraState, CameraSupervisor
from edge_agent.cameras.video import VideoCamera
from edge_agent.errors import CameraAbsent, CameraError, CameraLost, CameraTimeout
from edge_agent.testing.colour_card import CARD_PATCHES_RGB, card_seen, colour_card

FRAME_INTERVAL_S = 0.02


class MjpegServer(ThreadingHTTPServer):
    """A network camera on loopback: JPEG after JPEG in one HTTP answer, each of another brightness."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), MjpegHandler)
        self.cut = threading.Event()
        """Set: the connection under way is cut. The next one is served again."""
        self.stall = threading.Event()
        """Set: the connection under way stays open and says no more. The next one is served again."""
        self.stopping = threading.Event()
        self.connections_count = 0
        self.password: str | None = None
        """User and password in Base64 that are asked for, if any."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class MjpegHandler(BaseHTTPRequestHandler):
    server: MjpegServer

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path != "/live":
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
        card = colour_card(ColourOrder.BGR)
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
            card[:4] = number % 250
            jpeg = np.asarray(cv2.imencode(".jpg", card)[1], np.uint8).tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + jpeg + b"\r\n")
            except (BrokenPipeError, ConnectionResetError):
                return


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.stopping.set()
        running.shutdown()
        thread.join()


def camera(server: MjpegServer, path: str = "/live", user: str = "", **changes: Any) -> VideoCamera:
    url = f"http://{user}{server.address}{path}"
    return VideoCamera(StreamSettings.model_validate({"kind": "stream", "url": url} | changes))


@contextmanager
def supervised(
    server: MjpegServer, *, deadline_s: float, read_timeout_s: float
) -> Iterator[tuple[Iterator[Frame], list[CameraState]]]:
    states: list[CameraState] = []
    supervisor = CameraSupervisor(
        lambda: camera(server, read_timeout_s=read_timeout_s),
        CapturePolicy(deadline_s=deadline_s, reopen_initial_s=0.01),
        threading.Event(),
        states.append,
    )
    frames = supervisor.frames()
    try:
        yield frames, states
    finally:
        frames.close()  # type: ignore[attr-defined]


def lost(states: list[CameraState]) -> list[type]:
    return [type(state.error) for state in states if state.phase is CameraPhase.LOST]


def test_frames_arrive_in_the_declared_colours_and_ffmpeg_says_nothing(
    server: MjpegServer, capfd: pytest.CaptureFixture[str]
) -> None:
    stream = camera(server)
    stream.open()
    frames = [stream.read() for _ in range(5)]
    stream.close()
    for patch, expected in zip(card_seen(frames[-1]), CARD_PATCHES_RGB, strict=True):
        assert patch == pytest.approx(expected, abs=25)
    assert frames[4].source == f"http://{server.address}/live#frame=4"
    assert isinstance(frames[0].image, Pixels)
    assert not np.array_equal(frames[0].image.array, frames[4].image.array)  # type: ignore[union-attr]
    assert capfd.readouterr().err == ""


def test_the_password_reaches_the_server_and_nobody_else(
    server: MjpegServer, capfd: pytest.CaptureFixture[str]
) -> None:
    server.password = base64.b64encode(b"nurse:sw0rdfish").decode()
    stream = camera(server, user="nurse:sw0rdfish@")
    stream.open()
    said = [str(stream.read().source)]
    server.cut.set()
    with pytest.raises(CameraLost) as caught:
        list(iter(stream.read, None))
    stream.close()
    said.append(str(caught.value))
    with pytest.raises(CameraAbsent) as caught_absent:
        camera(server, user="nurse:sw0rdfish-not@").open()
    said += [str(caught_absent.value), capfd.readouterr().err]
    assert "sw0rdfish" not in "".join(said)
    assert "nurse" not in "".join(said)


def test_an_address_without_a_stream_is_an_absent_camera(
    server: MjpegServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CameraAbsent):
        camera(server, "/nothing").open()
    assert capfd.readouterr().err == ""


def test_a_cut_connection_is_reopened(server: MjpegServer) -> None:
    with supervised(server, deadline_s=30, read_timeout_s=20) as (frames, states):
        next(frames)
        server.cut.set()
        while len(lost(states)) < 1:
            next(frames)
        next(frames)
    assert lost(states) == [CameraLost]
    assert states[-1].phase is CameraPhase.STREAMING
    assert server.connections_count == 2


@pytest.mark.parametrize(
    ("deadline_s", "read_timeout_s", "error"),
    [(2.0, 60.0, CameraTimeout), (30.0, 1.0, CameraLost)],
    ids=["by the supervisor", "by FFmpeg"],
)
def test_a_stream_that_stands_still_is_found_out_and_reopened(
    server: MjpegServer, deadline_s: float, read_timeout_s: float, error: type[CameraError]
) -> None:
    with supervised(server, deadline_s=deadline_s, read_timeout_s=read_timeout_s) as (frames, states):
        next(frames)
        server.stall.set()
        while len(lost(states)) < 1:
            next(frames)
        next(frames)
        assert lost(states) == [error]
        assert states[-1].phase is CameraPhase.STREAMING
        server.stopping.set()
