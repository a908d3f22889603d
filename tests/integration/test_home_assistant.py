"""The agent's messages to Home Assistant over a real broker, and when it removes them."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge_agent.config import Config
from tests.agents import configuration, running
from tests.mqtt import PATIENCE_S

PREFIX = "homeassistant/device/clinic"


class Home:
    """Sees what Home Assistant would, and publishes as it does."""

    def __init__(self, port: int) -> None:
        self._messages: queue.SimpleQueue[mqtt.MQTTMessage] = queue.SimpleQueue()
        ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe("homeassistant/device/#", qos=1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = lambda _client, _data, message: self._messages.put(message)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(PATIENCE_S)

    def next(self) -> tuple[str, bool]:
        """Topic of the next message, and whether it announces a device."""
        message = self._messages.get(timeout=PATIENCE_S)
        return message.topic, bool(message.payload and json.loads(message.payload)["components"])

    def say(self, payload: bytes) -> None:
        self._client.publish("homeassistant/status", payload, qos=1).wait_for_publish(PATIENCE_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def home(broker_port: int) -> Iterator[Home]:
    found = Home(broker_port)
    yield found
    found.close()


def announcing(port: int, device: str = "scope-1", *, enabled: bool = True) -> Config:
    return configuration(
        port,
        device={"site": "clinic", "id": device},
        homeassistant={"enabled": enabled},
        trigger={"mode": "triggered"},
    )


def test_a_device_announces_itself_again_when_home_assistant_starts_and_goes_when_it_shall(
    broker_port: int, home: Home
) -> None:
    with running(announcing(broker_port)) as agent:
        assert home.next() == (f"{PREFIX}/scope-1/config", True)
        for payload in (b"offline", b"online"):
            home.say(payload)
        assert home.next() == (f"{PREFIX}/scope-1/config", True)
        agent.reload(announcing(broker_port, "scope-2"))
        assert {home.next(), home.next()} == {(f"{PREFIX}/scope-1/config", False), (f"{PREFIX}/scope-2/config", True)}
        agent.reload(announcing(broker_port, "scope-2", enabled=False))
        assert home.next() == (f"{PREFIX}/scope-2/config", False)
    late = Home(broker_port)
    with running(announcing(broker_port, "scope-3")):
        # Nothing is retained of the devices before.
        assert late.next() == (f"{PREFIX}/scope-3/config", True)
    late.close()


def test_a_device_that_was_switched_off_takes_its_announcement_back_when_it_runs_again(
    broker_port: int, home: Home
) -> None:
    with running(announcing(broker_port)):
        assert home.next() == (f"{PREFIX}/scope-1/config", True)
    with running(announcing(broker_port, enabled=False)):
        assert home.next() == (f"{PREFIX}/scope-1/config", False)
