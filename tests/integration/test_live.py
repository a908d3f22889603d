"""The moving picture of a real agent, over a real web socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection
from websockets.typing import Origin

from edge_agent.agent import Agent, PageDevice
from edge_agent.cli.local_broker import free_port
from edge_agent.contracts import Result
from edge_agent.web.server import MicroscopePage
from edge_agent.web.settings import WebSettings
from tests.agents import configuration, running
from tests.mqtt import PATIENCE_S
from tests.unit.web.live.fakes import parts

SWEEP_FRAMES = 21


@pytest.fixture
def page() -> MicroscopePage:
    return MicroscopePage(WebSettings(enabled=True, port=free_port()))


@pytest.fixture
def agent(broker_port: int, page: MicroscopePage) -> Iterator[Agent]:
    camera = {
        "kind": "synthetic",
        "bad_fields_ratio": 0,
        "frame_rate_hz": 12,
        "frames_per_field_count": SWEEP_FRAMES,
        "focus_sweep_um": 2.0,
    }
    config = configuration(broker_port, camera=camera, trigger={"mode": "continuous", "interval_s": 0.2})
    with running(config, on_result=page.update) as agent, page.serving(PageDevice(agent)):
        yield agent


def look(page: MicroscopePage, origin: str | None = None) -> Connection:
    """Connect as a browser that shows the page."""
    return connect(
        page.address.replace("http://", "ws://") + "live",
        origin=Origin(origin or page.address.rstrip("/")),
        open_timeout=PATIENCE_S,
        close_timeout=PATIENCE_S,
    )


def ask(viewer: Connection, **view: object) -> None:
    viewer.send(json.dumps({"next": True, **view}))


def until(viewer: Connection, wanted: Callable[[str | bytes], bool]) -> str | bytes:
    """The first message that is wanted; each picture is answered with a request for the next one."""
    while not wanted(message := viewer.recv(timeout=PATIENCE_S)):
        if isinstance(message, bytes):
            ask(viewer)
    return message


def test_the_focus_score_follows_the_focus_of_a_real_agent_s_camera(agent: Agent, page: MicroscopePage) -> None:
    with look(page) as viewer:
        scores, numbers = [], []
        for _ in range(2 * SWEEP_FRAMES):
            ask(viewer, max_width_px=320)
            message = until(viewer, lambda message: isinstance(message, bytes))
            assert isinstance(message, bytes)
            header, picture = parts(message)
            assert picture.shape == (240, 320, 3)
            assert (header["width_px"], header["height_px"], header["camera"]) == (640, 480, "camera0")
            scores.append(header["focus_score"])
            numbers.append(header["id"])
    assert numbers == sorted(set(numbers))
    assert max(scores) > 4 * min(scores)


def test_a_pause_is_said_within_a_second_and_the_picture_comes_back(agent: Agent, page: MicroscopePage) -> None:
    with look(page) as viewer:
        ask(viewer)
        until(viewer, lambda message: isinstance(message, bytes))
        agent.reading.pause()
        ask(viewer)
        until(viewer, lambda message: isinstance(message, str) and json.loads(message)["state"] == "paused")
        agent.reading.resume()
        until(viewer, lambda message: isinstance(message, bytes))


def test_the_picture_names_the_reading_whose_field_it_shows(broker_port: int, page: MicroscopePage) -> None:
    made: list[str] = []

    def keep(result: Result, reading: object) -> None:
        made.append(str(result.id))
        page.update(result, reading)  # type: ignore[arg-type]  # a stand-in

    still = {"kind": "synthetic", "bad_fields_ratio": 0, "frames_per_field_count": 1_000_000}
    config = configuration(broker_port, camera=still, trigger={"mode": "continuous", "interval_s": 0.5})
    with running(config, on_result=keep) as agent, page.serving(PageDevice(agent)), look(page) as viewer:
        ask(viewer)
        message = until(viewer, lambda message: isinstance(message, bytes) and parts(message)[0]["reading"] is not None)
        assert isinstance(message, bytes)
        assert parts(message)[0]["reading"] in made


def test_what_is_not_a_request_is_refused_without_harm_to_others(agent: Agent, page: MicroscopePage) -> None:
    with look(page) as good, look(page) as bad, look(page) as huge:
        bad.send('{"next": "now"}')
        assert json.loads(bad.recv(timeout=PATIENCE_S))["code"] == "request_invalid"
        with pytest.raises(ConnectionClosed) as closed:
            bad.recv(timeout=PATIENCE_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        huge.send("x" * 1_000_000)
        with pytest.raises(ConnectionClosed) as closed:
            huge.recv(timeout=PATIENCE_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        ask(good)
        until(good, lambda message: isinstance(message, bytes))


def test_a_page_of_another_server_does_not_see_the_picture(agent: Agent, page: MicroscopePage) -> None:
    with pytest.raises(InvalidStatus) as refused, look(page, "http://attacker.example"):
        pass
    assert refused.value.response.status_code == 403


def test_a_stop_of_the_page_ends_the_picture(broker_port: int, page: MicroscopePage) -> None:
    with running(configuration(broker_port)) as agent:
        page.start(PageDevice(agent))
        with look(page) as viewer:
            ask(viewer)
            until(viewer, lambda message: isinstance(message, bytes))
            page.stop()
            with pytest.raises(ConnectionClosed) as closed:
                until(viewer, lambda _message: False)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert not [thread for thread in threading.enumerate() if thread.name == "live"]
