"""The web socket: who may look, what is answered, and how it ends."""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient, WebSocketDenialResponse, WebSocketTestSession
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from edge_agent.web.access.roles import Role
from edge_agent.web.live.hub import LiveHub, Viewer
from edge_agent.web.live.messages import View
from edge_agent.web.routes.live import live_routes
from tests.unit.web.live.fakes import PATIENCE_S, LiveDevice, grey_frame, parts


@pytest.fixture
def device() -> LiveDevice:
    return LiveDevice()


@pytest.fixture
def hub(device: LiveDevice) -> Iterator[LiveHub]:
    hub = LiveHub(device, viewers_max=2, interval_s=0)
    yield hub
    hub.stop()


def client(hub: LiveHub, role: Role) -> TestClient:
    app: ASGIApp = Starlette(routes=live_routes(hub))

    async def with_role(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "role": role}, receive, send)

    return TestClient(with_role, base_url="http://scope-1.local:8080")


def ask(socket: WebSocketTestSession, **view: object) -> None:
    socket.send_text(json.dumps({"next": True, **view}))


def test_pictures_come_as_they_are_asked_for(device: LiveDevice, hub: LiveHub) -> None:
    with client(hub, Role.LOOK).websocket_connect("/live") as socket:
        for shade in (50, 150):
            ask(socket, region=[0, 0, 0.5, 0.5], max_width_px=16)
            if shade == 50:
                device.show_from(lambda: grey_frame(10))
            device.show(grey_frame(shade))
            header, picture = parts(socket.receive_bytes())
            assert header["region"] == [0, 0, 0.5, 0.5]
            assert picture.shape == (12, 16, 3)
            assert round(float(picture.mean())) == shade
        ask(socket, region=[0, 0, 0.5, 0.5], max_width_px=16)
        # The same picture is not sent again.
        assert json.loads(socket.receive_text())["state"] == "waiting"
    device.looked_away.get(timeout=PATIENCE_S)


def test_a_viewer_who_waits_is_told_why_again_and_again(device: LiveDevice, hub: LiveHub) -> None:
    device.paused = True
    with client(hub, Role.LOOK).websocket_connect("/live") as socket:
        ask(socket)
        for _ in range(2):
            assert json.loads(socket.receive_text()) == {
                "state": "paused",
                "code": "agent_paused",
                "message": "The agent is paused.",
                "remedy": "Send 'resume' first.",
            }
        device.resume()
        device.show_from(lambda: grey_frame(10))
        device.show(grey_frame(50))
        while "text" in (message := socket.receive()):
            assert json.loads(message["text"])["state"] in {"paused", "waiting"}
        assert parts(message["bytes"])[0]["id"] == 1


@pytest.mark.parametrize(
    "message",
    [
        {"text": "hello"},
        {"text": '{"next": true, "region": [0, 0, 2, 1]}'},
        {"text": '{"next": true, "command": "pause"}'},
        {"bytes": b'{"next": true}'},
    ],
)
def test_a_message_that_is_not_understood_gets_one_error_and_the_end(hub: LiveHub, message: dict[str, Any]) -> None:
    with client(hub, Role.LOOK).websocket_connect("/live") as socket:
        socket.send({"type": "websocket.receive", **message})
        error = json.loads(socket.receive_text())
        assert error["code"] == "request_invalid"
        assert error["message"]
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert (closed.value.code, closed.value.reason) == (1008, "request_invalid")
    # Its place is free again.
    assert hub._viewers == ()


def test_one_viewer_too_many_is_told_so_and_the_others_go_on(device: LiveDevice, hub: LiveHub) -> None:
    viewers = client(hub, Role.LOOK)
    with viewers.websocket_connect("/live") as one, viewers.websocket_connect("/live") as two:
        with viewers.websocket_connect("/live") as third:
            assert json.loads(third.receive_text())["code"] == "web_busy"
            with pytest.raises(WebSocketDisconnect) as closed:
                third.receive_text()
        assert (closed.value.code, closed.value.reason) == (1013, "web_busy")
        ask(one)
        ask(two)
        device.show_from(lambda: grey_frame(10))
        device.show(grey_frame(50))
        assert one.receive_bytes() == two.receive_bytes()


def test_nobody_looks_without_a_role(hub: LiveHub) -> None:
    with pytest.raises(WebSocketDenialResponse) as denied, client(hub, Role.NONE).websocket_connect("/live"):
        pass
    assert denied.value.status_code == 401
    assert denied.value.json()["code"] == "access_denied"


class WatchedHub(LiveHub):
    """Reports when a viewer has asked, and when a picture was handed over."""

    def __init__(self, device: LiveDevice) -> None:
        super().__init__(device, interval_s=0)
        self.asked: queue.Queue[None] = queue.Queue()
        self.delivered: queue.Queue[None] = queue.Queue()

    def join(self, deliver: Callable[[bytes], None]) -> Viewer:
        def told(message: bytes) -> None:
            deliver(message)
            self.delivered.put(None)

        return super().join(told)

    def ask(self, viewer: Viewer, view: View) -> None:
        super().ask(viewer, view)
        self.asked.put(None)


def test_pictures_do_not_queue_behind_a_connection_that_is_slow(device: LiveDevice) -> None:
    """They ask for one picture after the other and read none: of those missed, only the newest is kept."""
    hub = WatchedHub(device)
    asks: asyncio.Queue[Message] = asyncio.Queue()
    sent: list[int] = []

    async def run() -> None:
        stuck, reading, second = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def send(message: Message) -> None:
            if message.get("bytes") is not None:
                stuck.set()
                await reading.wait()
                sent.append(round(float(parts(message["bytes"])[1].mean())))
                if len(sent) == 2:
                    second.set()

        async def hand_over(shade: int) -> None:
            asks.put_nowait({"type": "websocket.receive", "text": '{"next": true}'})
            await asyncio.to_thread(hub.asked.get, timeout=PATIENCE_S)
            if shade == 10:
                await asyncio.to_thread(device.show_from, lambda: grey_frame(5))
            device.show(grey_frame(shade))
            await asyncio.to_thread(hub.delivered.get, timeout=PATIENCE_S)

        asks.put_nowait({"type": "websocket.connect"})
        scope = {"type": "websocket", "path": "/live", "headers": [], "role": Role.LOOK, "subprotocols": []}
        app = asyncio.create_task(Starlette(routes=live_routes(hub))(scope, asks.get, send))
        await hand_over(10)
        await stuck.wait()
        for shade in (20, 30, 40, 50):
            await hand_over(shade)
        reading.set()
        await second.wait()
        asks.put_nowait({"type": "websocket.disconnect", "code": 1001})
        await app

    asyncio.run(run())
    hub.stop()
    assert sent == [10, 50]
