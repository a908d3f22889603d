from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import pytest

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.cameras.frame import Encoded, Frame
from edge_agent.cameras.settings import CapturePolicy, StreamSettings
from edge_agent.cameras.stream import StreamCamera
from edge_agent.cameras.supervisor import CameraPhase, CameraState, CameraSupervisor
from edge_agent.contracts import Outcome
from edge_agent.errors import CameraAbsent, CameraError, CameraLost, CameraTimeout
from edge_agent.inference import Classifier, load_bundle
from edge_agent.testing.colour_card import CARD_PATCHES_RGB, card_seen
from edge_agent.testing.network_camera import NetworkCamera, changing_card
from edge_agent.vision.settings import QualityLimits


@contextmanager
def serving(picture: Callable[[int], bytes] = changing_card) -> Iterator[NetworkCamera]:
    with NetworkCamera(picture) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            running.stopping.set()
            running.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[NetworkCamera]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def demo_analyzer() -> Analyzer:
    return Analyzer(Classifier(load_bundle("demo")), QualityLimits())


def camera(server: NetworkCamera, path: str = "/live", user: str = "", **changes: Any) -> StreamCamera:
    url = f"http://{user}{server.address}{path}"
    return StreamCamera(StreamSettings.model_validate({"kind": "stream", "url": url} | changes))


@contextmanager
def supervised(
    server: NetworkCamera, *, deadline_s: float, read_timeout_s: float
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
    server: NetworkCamera, capfd: pytest.CaptureFixture[str]
) -> None:
    stream = camera(server)
    stream.open()
    frames = [stream.read() for _ in range(5)]
    stream.close()
    for patch, expected in zip(card_seen(frames[-1]), CARD_PATCHES_RGB, strict=True):
        assert patch == pytest.approx(expected, abs=25)
    assert frames[4].source == f"http://{server.address}#frame=4"
    first, last = frames[0].image, frames[4].image
    assert isinstance(first, Encoded)
    assert isinstance(last, Encoded)
    assert first.data != last.data
    assert (frames[4].settings.width_px, frames[4].settings.height_px) == (256, 64)
    assert capfd.readouterr().err == ""


def test_the_password_reaches_the_server_and_nobody_else(
    server: NetworkCamera, capfd: pytest.CaptureFixture[str]
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
    server: NetworkCamera, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CameraAbsent):
        camera(server, "/nothing").open()
    assert capfd.readouterr().err == ""


def test_a_cut_connection_is_reopened(server: NetworkCamera) -> None:
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
    server: NetworkCamera, deadline_s: float, read_timeout_s: float, error: type[CameraError]
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


def jpeg(level: int, size_px: tuple[int, int] = (320, 240)) -> bytes:
    rng = np.random.default_rng(level)
    picture = np.clip(rng.normal(level, 20, (size_px[1], size_px[0], 3)), 0, 255).astype(np.uint8)
    return np.asarray(cv2.imencode(".jpg", picture)[1], np.uint8).tobytes()


def with_thumbnail(data: bytes) -> bytes:
    """A JPEG with a whole small JPEG in its metadata, as cameras put it there."""
    comment = b"Exif\0\0" + jpeg(90, (16, 16))
    return data[:2] + b"\xff\xe1" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]


@pytest.mark.parametrize(
    "tear",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-2],
        lambda data: data[: len(data) // 2] + bytes(4096),
        lambda data: with_thumbnail(data)[: len(with_thumbnail(data)) - len(data) // 2],
        lambda data: data[len(data) // 2 :],
        lambda data: data[: len(data) // 3] + data[len(data) // 2 :],
        lambda data: data[: len(data) // 2] + jpeg(80)[len(jpeg(80)) // 2 :],
        lambda data: b"HTTP/1.1 503 Busy\r\n\r\n",
    ],
    ids=["half", "no end", "padded", "thumbnail whole", "second half", "piece missing", "half of two", "no picture"],
)
def test_a_torn_frame_is_never_judged(tear: Callable[[bytes], bytes], demo_analyzer: Analyzer) -> None:
    """FFmpeg's decoder fills missing parts from the picture before, and reports nothing."""
    with serving(lambda number: tear(jpeg(160)) if number % 2 else jpeg(80)) as server:
        stream = camera(server)
        stream.open()
        readings = [demo_analyzer.analyse(stream.read()) for _ in range(8)]
        stream.close()
    failed = [each.error.code for each in readings if each.error is not None]
    assert set(failed) == {"image_unreadable"}
    assert len(failed) in {3, 4, 5}
    for reading in readings:
        assert (reading.error is not None) == (reading.outcome is Outcome.FAILED)


def test_a_stream_that_changes_its_size_is_read_in_the_new_one(server: NetworkCamera) -> None:
    server.picture = lambda number: jpeg(100, (64, 48) if number < 4 else (128, 96))
    stream = camera(server)
    stream.open()
    frames = [stream.read() for _ in range(6)]
    stream.close()
    assert [(each.settings.width_px, each.settings.height_px) for each in frames[1:]] == [(64, 48)] * 2 + [
        (128, 96)
    ] * 3
    assert all(isinstance(each.image, Encoded) for each in frames)


def test_what_identifies_to_the_camera_reaches_it_and_nobody_else(
    server: NetworkCamera, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This holds even if somebody makes OpenCV and FFmpeg verbose."""
    query = "/live?user=nurse&password=sw0rd%2Ffish&token=hush"
    stream = camera(server, query)
    stream.open()
    said = [str(stream.read().source), repr(stream._settings), stream._settings.model_dump_json()]
    server.cut.set()
    with pytest.raises(CameraLost) as caught:
        list(iter(stream.read, None))
    stream.close()
    with pytest.raises(CameraAbsent) as caught_absent:
        camera(server, query.replace("/live", "/hush-hush")).open()
    said += [str(caught.value), str(caught_absent.value), capfd.readouterr().err]
    assert server.requests[0] == query
    assert f"http://{server.address}#frame=0" in said[0]
    for secret in ("nurse", "sw0rd", "fish", "hush", "live"):
        assert secret not in "".join(said)


def test_talkative_libraries_are_silenced_before_they_are_loaded() -> None:
    """Otherwise, they would print a stream's address, with its password, to standard error."""
    code = (
        "import edge_agent, cv2; from edge_agent.cameras.settings import StreamSettings; "
        "from edge_agent.cameras.stream import StreamCamera; from edge_agent.errors import CameraError\n"
        "try: StreamCamera(StreamSettings(kind='stream', url='http://nurse:sw0rdfish@127.0.0.1:1/hush')).open()\n"
        "except CameraError as error: print(error)"
    )
    loud = {"OPENCV_LOG_LEVEL": "VERBOSE", "OPENCV_FFMPEG_LOGLEVEL": "56", "OPENCV_FFMPEG_DEBUG": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **loud}, capture_output=True, text=True, check=True
    )
    assert "http://127.0.0.1:1 cannot be opened" in done.stdout
    for secret in ("nurse", "sw0rdfish", "hush"):
        assert secret not in done.stdout + done.stderr
