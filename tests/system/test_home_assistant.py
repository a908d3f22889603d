"""``make home-assistant``: what the device publishes, in a real Home Assistant."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
import tomlkit
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge_agent.cli.local_broker import free_port, run_mosquitto
from edge_agent.contracts import Topics
from edge_agent.homeassistant.discovery import make_discovery
from edge_agent.homeassistant.entities import CHECKS
from edge_agent.homeassistant.settings import HomeAssistantSettings
from tests.mqtt import PATIENCE_S
from tests.system.home_assistant import HomeAssistant, ask_terms, build_root, why_not
from tests.system.image import Tell

pytestmark = [pytest.mark.timeout(3600)]

TERMS = Path(__file__).parents[1] / "unit" / "homeassistant" / "terms.json"
TOPICS = Topics("clinic", "scope-1")


def of(topics: Topics, key: str) -> str:
    return f"leukoscope_{topics.site}_{topics.device}_{key}"


def shows(unique_id: str, state: str, now: dict[str, dict[str, Any]]) -> bool:
    return bool(now[unique_id]["state"] == state)


@pytest.fixture(scope="module")
def root(tell: Tell) -> Path:
    if not os.environ.get("LEUKOSCOPE_HOME_ASSISTANT"):
        pytest.skip("Home Assistant takes minutes to install and to try: 'make home-assistant' runs it")
    reason = why_not()
    if reason is not None:
        pytest.skip(f"Home Assistant not tried: {reason}")
    return build_root(tell)


@pytest.fixture
def home(root: Path) -> Iterator[HomeAssistant]:
    with tempfile.TemporaryDirectory(prefix="home-", dir=root / "tmp") as folder:
        found = HomeAssistant(root, Path(folder))
        yield found
        found.close()


@dataclass
class Scope:
    """An agent in its own process, with drawn smears instead of a camera."""

    folder: Path
    port: int

    @contextmanager
    def running(
        self, *, site: str = "clinic", device: str = "scope-1", **home: Any
    ) -> Iterator[subprocess.Popen[bytes]]:
        config = self.folder / "agent.toml"
        sections = {
            "device": {"site": site, "id": device},
            "camera": {"kind": "synthetic"},
            "trigger": {"interval_s": 0.5},
            "analysis": {"bundle": "demo"},
            "mqtt": {"host": "127.0.0.1", "port": self.port, "will_delay_s": 0},
            "state": {"folder": str(self.folder / "state")},
            "homeassistant": {"enabled": True, **home},
        }
        config.write_text(tomlkit.dumps(sections))
        with (self.folder / "agent.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "edge_agent", "run", "--config", str(config)], stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


class Witness:
    """Collects the messages that pass the broker on some topics."""

    def __init__(self, port: int, *filters: str) -> None:
        self.messages: queue.SimpleQueue[mqtt.MQTTMessage] = queue.SimpleQueue()
        ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe([(each, 1) for each in filters])
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = lambda _client, _data, message: self.messages.put(message)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(PATIENCE_S)

    def next(self) -> mqtt.MQTTMessage:
        return self.messages.get(timeout=PATIENCE_S)

    def next_answer(self) -> dict[str, Any]:
        while (message := self.next()).topic.split("/")[4:5] != ["answer"]:
            pass
        answer: dict[str, Any] = json.loads(message.payload)
        return answer

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_the_recorded_terms_are_those_of_the_real_home_assistant(root: Path) -> None:
    assert json.loads(ask_terms(root)) == json.loads(TERMS.read_text())


def test_its_schemas_take_every_entity_and_every_option(root: Path) -> None:
    settings = HomeAssistantSettings(enabled=True, buttons=True)
    message = make_discovery(settings, TOPICS, status_expiry_s=180).payload
    assert ask_terms(root, "check", message=message) == ""
    spoilt = message.replace(b'"data_size"', b'"data-size"')
    assert "disk_free: expected SensorDeviceClass" in ask_terms(root, "check", message=spoilt)


def test_home_assistant_shows_the_device_as_it_is(
    home: HomeAssistant, mosquitto: str, tmp_path: Path, tell: Tell
) -> None:
    port = free_port()
    scope = Scope(tmp_path, port)
    renamed = Topics("clinic", "scope-2")
    with run_mosquitto(mosquitto, port):
        witness = Witness(port, "homeassistant/#", f"{TOPICS.answers}#")
        with home.running():
            home.connect_to(port)
            with scope.running(buttons=True) as agent:
                shown = home.until(
                    lambda now: (
                        of(TOPICS, "readings") in now
                        and now[of(TOPICS, "state")]["state"] == "ready"
                        and now[of(TOPICS, "readings")]["state"] not in {"unknown", "unavailable", "0"}
                        and now[of(TOPICS, "last_outcome")]["state"] != "unknown"
                        and now[of(TOPICS, "check_camera")]["state"] == "off"
                    )
                )
                for key, entity in sorted(shown.items()):
                    tell(f"{key}: {entity['state']} {entity['attributes'].get('unit_of_measurement', '')}")
                assert shown[of(TOPICS, "connected")]["state"] == "on"
                assert shown[of(TOPICS, "model")]["state"] == "demo"
                assert shown[of(TOPICS, "demonstration")]["state"] == "on"
                assert float(shown[of(TOPICS, "latency_p50")]["state"]) > 0
                assert float(shown[of(TOPICS, "disk_free")]["state"]) > 0
                assert {shown[of(TOPICS, f"check_{name}")]["state"] for name in CHECKS} <= {"on", "off", "unknown"}
                (device,) = [each for each in home.devices() if each["manufacturer"] == "Leukoscope"]
                assert "research use only" in device["model"]

                ids = set()
                for command, state in (
                    ("pause", "sleeping"),
                    ("resume", "ready"),
                    ("self-test", "ready"),
                    ("self-test", "ready"),
                ):
                    home.press(shown[of(TOPICS, f"button_{command.replace('-', '_')}")]["entity_id"])
                    answer = witness.next_answer()
                    assert (answer["command"], answer["state"]) == (command, "done")
                    ids.add(answer["id"])
                    home.until(partial(shows, of(TOPICS, "state"), state))
                # Pressing the same button twice sends two commands.
                assert len(ids) == 4

                agent.send_signal(signal.SIGKILL)
                gone = home.until(lambda now: now[of(TOPICS, "state")]["state"] == "lost")
                assert gone[of(TOPICS, "connected")]["state"] == "off"
                away = home.until(lambda now: now[of(TOPICS, "readings")]["state"] == "unavailable")
                assert away[of(TOPICS, "button_pause")]["state"] == "unavailable"
                # What was reported about the last reading, with its time, stays true.
                assert away[of(TOPICS, "last_result")]["state"] != "unavailable"
        with home.running(), scope.running(buttons=False):
            # After a restart, Home Assistant says so, and the device announces itself again.
            while (message := witness.next()).topic != "homeassistant/status" or message.payload != b"online":
                pass
            home.until(
                lambda now: of(TOPICS, "button_pause") not in now and now[of(TOPICS, "state")]["state"] == "ready"
            )
        with home.running():
            with scope.running(device="scope-2"):
                both = home.until(lambda now: now.get(of(renamed, "state"), {}).get("state") == "ready")
                assert not [key for key in both if key.startswith("leukoscope_clinic_scope-1_")]
            with scope.running(device="scope-2", enabled=False):
                home.until(lambda now: not now)
        assert home.complaints() == []
        witness.close()
