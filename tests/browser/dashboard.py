"""A broker as ``deploy/mosquitto`` configures it, with the dashboard on its WebSocket listener, and its devices."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from playwright.sync_api import Page

from benchmarks.dashboard import wait_until_open
from edge_agent.cli.local_broker import free_port, run_mosquitto
from edge_agent.contracts import Status
from edge_agent.mqtt.settings import PASSWORD_VARIABLE
from tests.mqtt import PATIENCE_S

REPOSITORY = Path(__file__).resolve().parents[2]
DASHBOARD = REPOSITORY / "deploy" / "dashboard"
PASSWORD = "a-password-of-the-test"
TESTER = "tester"
"""An account that may publish anything, unlike any device."""


@dataclass(frozen=True)
class DashboardBroker:
    """Ports of the devices' listener and of the page's."""

    port: int
    page_port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.page_port}/"


@contextmanager
def dashboard_broker(
    mosquitto: str,
    folder: Path,
    devices: list[str],
    *,
    page: Path = DASHBOARD / "page",
    ports: DashboardBroker | None = None,
) -> Iterator[DashboardBroker]:
    """mosquitto with the shipped ``dashboard.conf`` and ``acl``; ``devices`` are SITE/DEVICE, with a password each.

    It listens on ``ports`` of an earlier broker, if given.
    """
    deploy = REPOSITORY / "deploy" / "mosquitto"
    folder.mkdir(parents=True, exist_ok=True)
    acl = folder / "acl"
    acl.write_text(f"{(deploy / 'acl').read_text()}\nuser {TESTER}\ntopic readwrite #\n")
    passwords = folder / "dashboard-passwords"
    passwords.touch(0o600)
    passwords.write_text("".join(f"{user}:{PASSWORD}\n" for user in ("viewer", TESTER, *devices)))
    subprocess.run(["mosquitto_passwd", "-U", passwords], check=True)
    found = ports or DashboardBroker(free_port(), free_port())
    shipped = (deploy / "dashboard.conf").read_text()
    shipped = re.sub(r"^listener 9001", f"listener {found.page_port}", shipped, flags=re.MULTILINE)
    shipped = shipped.replace("/etc/mosquitto/leukoscope", str(folder))
    shipped = shipped.replace("/usr/share/leukoscope/dashboard", str(page))
    more = f"user root\nacl_file {acl}\nallow_anonymous false\nmax_queued_messages 100000\n"
    with run_mosquitto(mosquitto, found.port, extra_configuration=more + shipped):
        # Its listeners are opened one after the other.
        wait_until_open(found.page_port)
        yield found


def log_in(page: Page, address: str, view: str = "overview", *, version: str = "auto") -> None:
    """Open the page as its user does, and wait until it is connected."""
    page.goto(f"{address}#/{view}")
    page.get_by_label("User name").fill("viewer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("MQTT version").select_option(version)
    page.get_by_role("button", name="Connect", exact=True).click()
    page.locator("#link.on").wait_for()


class Speaker:
    """Publishes as any device would, and as no device would."""

    def __init__(self, port: int) -> None:
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.username_pw_set(TESTER, PASSWORD)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def say(self, topic: str, content: object, *, retain: bool = False, expiry_s: int | None = None) -> None:
        """Publish bytes as they are, anything else as JSON; ``topic`` is below ``leukoscope/v1``."""
        payload = content if isinstance(content, bytes) else json.dumps(content).encode()
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        sent = self._client.publish(f"leukoscope/v1/{topic}", payload, qos=1, retain=retain, properties=properties)
        sent.wait_for_publish(PATIENCE_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Witness:
    """Keeps what the broker delivers, as the page receives it."""

    def __init__(self, port: int) -> None:
        self._heard = threading.Condition()
        self._newest: dict[str, Any] = {}
        self._last: tuple[str, Any] = ("", None)
        ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.username_pw_set(TESTER, PASSWORD)
        self._client.on_connect = lambda client, *_: client.subscribe("leukoscope/v1/#", qos=1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(PATIENCE_S)

    def _take(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        try:
            body = json.loads(message.payload)
        except ValueError:
            return
        with self._heard:
            self._newest[message.topic] = body
            self._last = (message.topic, body)
            self._heard.notify_all()

    def until(self, wanted: Callable[[str, Any], bool]) -> None:
        """Wait for a message for whose topic and body ``wanted`` is true."""
        with self._heard:
            assert self._heard.wait_for(lambda: self._last[0] != "" and wanted(*self._last), PATIENCE_S)

    def newest(self, topic: str) -> Any:
        with self._heard:
            assert self._heard.wait_for(lambda: topic in self._newest, PATIENCE_S)
            return self._newest[topic]

    def newest_status(self, device: str) -> Status:
        return Status.model_validate(self.newest(f"leukoscope/v1/{device}/status"))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@dataclass
class SimulatedProcess:
    """A simulated device in its own process, which can be killed and started again."""

    command: list[str]
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        environment = os.environ | {PASSWORD_VARIABLE: PASSWORD}
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True, env=environment)

    def kill(self) -> None:
        """Kill the device, as a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.communicate()
        self.process = None

    def end(self) -> None:
        """Kill the device if it runs."""
        if self.process is not None:
            self.kill()


@contextmanager
def simulated(*commands: list[str]) -> Iterator[list[SimulatedProcess]]:
    """Simulated devices, one process per list of options."""
    module = [sys.executable, "-m", "edge_agent.testing.simulated_device"]
    with ExitStack() as closing:
        found = [SimulatedProcess([*module, *options]) for options in commands]
        for each in found:
            each.start()
            closing.callback(each.end)
        yield found


@contextmanager
def nginx_in_front(program: str, folder: Path, broker: DashboardBroker, certificates: Path) -> Iterator[str]:
    """nginx with the shipped ``nginx.conf``; yields the page's address, whose certificate is for ``localhost``."""
    port = free_port()
    shipped = (DASHBOARD / "nginx.conf").read_text()
    for shipped_text, own in {
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        "/etc/ssl/certs/dashboard.example.org.crt": str(certificates / "broker.crt"),
        "/etc/ssl/private/dashboard.example.org.key": str(certificates / "broker.key"),
        "dashboard.example.org": "localhost",
        "/usr/share/leukoscope/dashboard": str(DASHBOARD / "page"),
        "127.0.0.1:9001": f"127.0.0.1:{broker.page_port}",
    }.items():
        assert shipped_text in shipped
        shipped = shipped.replace(shipped_text, own)
    (folder / "dashboard.conf").write_text(shipped)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"{user}daemon off;\npid {folder}/nginx.pid;\nevents {{}}\nhttp {{\ninclude /etc/nginx/mime.types;\n"
        f"access_log off;\n{temporary}include {folder}/dashboard.conf;\n}}\n"
    )
    process = subprocess.Popen([program, "-e", folder / "error.log", "-c", configuration], stderr=subprocess.PIPE)
    try:
        wait_until_open(port)
        yield f"https://localhost:{port}/"
    finally:
        process.terminate()
        process.communicate()


def copied_page(folder: Path, **config: object) -> Path:
    """A copy of the page with the test's own ``config.json``."""
    place = folder / "page"
    shutil.copytree(DASHBOARD / "page", place)
    (place / "config.json").write_text(json.dumps(config))
    return place
