"""A real Home Assistant on the loopback address, in its own Debian, whose Python is new enough for it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from edge_agent.cli.local_broker import LOOPBACK, free_port
from tests.system.apt import find_mirror, transport_options
from tests.system.image import SUITE, Tell, cache_folder

VERSION = "2026.2.3"
"""The last release for Debian trixie's Python 3.13: those from 2026.3 on need 3.14."""

DEBIAN = ("python3-venv", "python3-dev", "gcc", "libc6-dev", "libffi-dev", "ca-certificates")
# Home Assistant would fetch these by itself at its first start; it names the versions itself.
PACKAGES = ("home-assistant-frontend", "paho-mqtt", "pyotp", "PyQRCode")
MAX_BUILD_S = 1800
PATIENCE_S = 90.0

_PYTHON = "/ha/bin/python"
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_TERMS = Path(__file__).with_name("home_assistant_terms.py")
_CONFIGURATION = """
homeassistant: {{name: Clinic}}
http: {{server_host: {host}, server_port: {port}}}
api:
config:
onboarding:
logger: {{default: warning}}
"""
_USER, _PASSWORD = "tester", "only for this test"


def why_not() -> str | None:
    """What is missing, in one line."""
    if os.geteuid() != 0:
        return "a folder with another system in it needs root"
    if shutil.which("mmdebstrap") is None:
        return "not installed: mmdebstrap"
    if not _folder().exists() and find_mirror() is None:
        return "this machine's own apt sources name no Debian mirror"
    return None


def _folder() -> Path:
    recipe = " ".join((SUITE, VERSION, *DEBIAN, *PACKAGES))
    return cache_folder() / f"home-assistant-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"


def build_root(tell: Tell) -> Path:
    """The system from the cache, or a new one. Raises ``CalledProcessError`` or ``OSError``."""
    folder = _folder()
    if folder.exists():
        return folder
    mirror = find_mirror()
    if mirror is None:
        raise OSError("there is no Debian mirror in this machine's apt sources")
    folder.parent.mkdir(parents=True, exist_ok=True)
    tell(f"building a Debian {SUITE} with Home Assistant {VERSION} (two minutes or more, once)")
    with tempfile.TemporaryDirectory(prefix=".home-assistant-", dir=folder.parent) as work:
        root = Path(work) / "root"
        options = {"APT::Install-Recommends": "false", **transport_options()}
        _run(
            *("mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", "--format=directory"),
            *(f'--aptopt={name} "{value}"' for name, value in options.items()),
            f"--include={','.join(DEBIAN)}",
            *(SUITE, str(root), mirror.line(SUITE)),
        )
        shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
        shutil.copyfile(_AUTHORITIES, root / _AUTHORITIES.relative_to("/"))
        _run("chroot", str(root), "python3", "-m", "venv", "/ha")
        pip = ("chroot", str(root), _PYTHON, "-m", "pip", "install", "--quiet", "--no-cache-dir")
        _run(*pip, f"homeassistant=={VERSION}")
        (constraints,) = root.glob("ha/lib/python*/site-packages/homeassistant/package_constraints.txt")
        _run(*pip, "--constraint", f"/{constraints.relative_to(root)}", *PACKAGES)
        root.rename(folder)
    return folder


def _run(*command: str) -> None:
    # Files that pip should read on this machine are not in that system.
    environment = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}
    subprocess.run(command, check=True, env=environment, timeout=MAX_BUILD_S)


def ask_terms(root: Path, *arguments: str, message: bytes = b"") -> str:
    """The output of ``home_assistant_terms`` in that system. Raises ``CalledProcessError``."""
    with tempfile.TemporaryDirectory(dir=root / "tmp") as folder:
        program = f"/{Path(folder).relative_to(root)}/{_TERMS.name}"
        shutil.copy(_TERMS, folder)
        done = subprocess.run(
            ["chroot", str(root), _PYTHON, program, *arguments],
            input=message,
            capture_output=True,
            check=True,
            timeout=PATIENCE_S,
        )
        return done.stdout.decode()


class HomeAssistant:
    """A Home Assistant set up as a person would: an account, and the MQTT integration with a broker's address."""

    def __init__(self, root: Path, folder: Path) -> None:
        """``folder`` is inside ``root`` and keeps the configuration from one start to the next."""
        self._root = root
        self._folder = folder
        self.port = free_port()
        (folder / "configuration.yaml").write_text(_CONFIGURATION.format(host=LOOPBACK, port=self.port))
        self.log = folder / "output.log"
        self._client = httpx2.Client(base_url=f"http://{LOOPBACK}:{self.port}", timeout=PATIENCE_S)
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: Connection | None = None
        self._numbers = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run Home Assistant inside the context."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("chroot", str(self._root), "/usr/bin/env", "HOME=/root", "/ha/bin/hass", "--skip-pip"),
                    *("--config", f"/{self._folder.relative_to(self._root)}"),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                self._wait_until_it_answers()
                self._sign_in()
                with connect(f"ws://{LOOPBACK}:{self.port}/api/websocket", max_size=None, max_queue=None) as socket:
                    self._socket = socket
                    self._greet(socket)
                    yield
            finally:
                self._process.terminate()
                self._process.wait(PATIENCE_S)

    def close(self) -> None:
        """Close the connection for questions."""
        self._client.close()

    def connect_to(self, broker_port: int) -> None:
        """Add the MQTT integration."""
        begun = self._post("/api/config/config_entries/flow", {"handler": "mqtt", "show_advanced_options": False})
        answered = {"broker": LOOPBACK, "port": broker_port}
        done = self._post(f"/api/config/config_entries/flow/{begun['flow_id']}", answered)
        assert done["type"] == "create_entry", done

    def press(self, entity_id: str) -> None:
        """Press a button."""
        self._post("/api/services/button/press", {"entity_id": entity_id})

    def entities(self) -> dict[str, dict[str, Any]]:
        """Each entity that came over MQTT, by its unique id, with its current state."""
        # In this order, an event that is skipped during the first question is in the answer to the second.
        registered = self._ask({"type": "config/entity_registry/list"})
        states = {each["entity_id"]: each for each in self._get("/api/states")}
        return {
            each["unique_id"]: {**each, **states.get(each["entity_id"], {"state": None, "attributes": {}})}
            for each in registered
            if each["platform"] == "mqtt"
        }

    def devices(self) -> list[dict[str, Any]]:
        """All known devices."""
        found = self._ask({"type": "config/device_registry/list"})
        assert isinstance(found, list)
        return found

    def until(self, true: Callable[[dict[str, dict[str, Any]]], bool]) -> dict[str, dict[str, Any]]:
        """Wait until ``true`` holds for the entities. Every event in Home Assistant is a reason to look again."""
        give_up_s = time.monotonic() + PATIENCE_S
        while not true(entities := self.entities()):
            shown = {key: entity["state"] for key, entity in entities.items()}
            assert time.monotonic() < give_up_s, f"it did not come true of {shown}"
            assert self._socket is not None
            self._socket.recv(timeout=PATIENCE_S)
        return entities

    def complaints(self) -> list[str]:
        """Its logged warnings and errors about MQTT, templates and entities."""
        lines = self.log.read_text(errors="replace").splitlines()
        ours = (
            "components.mqtt",
            "helpers.template",
            "components.sensor",
            "components.binary_sensor",
            "helpers.entity",
        )
        return [line for line in lines if ("WARNING" in line or "ERROR" in line) and any(part in line for part in ours)]

    def _wait_until_it_answers(self) -> None:
        give_up_s = time.monotonic() + PATIENCE_S
        while True:
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text(errors="replace")
            assert time.monotonic() < give_up_s, self.log.read_text(errors="replace")
            try:
                # This is answered last: from then on, the configuration's flows, and so MQTT, can be used.
                if self._client.get("/api/config/config_entries/flow_handlers").status_code in {200, 401}:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.2)

    def _sign_in(self) -> None:
        client = f"http://{LOOPBACK}:{self.port}/"
        self._client.headers.pop("Authorization", None)
        account = {"username": _USER, "password": _PASSWORD, "client_id": client}
        if not (self._folder / ".storage" / "onboarding").exists():
            made = self._post("/api/onboarding/users", {**account, "name": _USER, "language": "en"})
            code = made["auth_code"]
        else:
            asked = {"client_id": client, "handler": ["homeassistant", None], "redirect_uri": client}
            begun = self._post("/auth/login_flow", asked)
            code = self._post(f"/auth/login_flow/{begun['flow_id']}", account)["result"]
        form = {"grant_type": "authorization_code", "code": code, "client_id": client}
        answer = self._client.post("/auth/token", data=form).raise_for_status().json()
        self._client.headers["Authorization"] = f"Bearer {answer['access_token']}"
        self._token = answer["access_token"]

    def _greet(self, socket: Connection) -> None:
        socket.recv(timeout=PATIENCE_S)
        socket.send(json.dumps({"type": "auth", "access_token": self._token}))
        assert json.loads(socket.recv(timeout=PATIENCE_S))["type"] == "auth_ok"
        self._numbers = 0
        self._ask({"type": "subscribe_events"})

    def _ask(self, question: dict[str, Any]) -> Any:
        """Ask over the socket, on which events arrive as well."""
        assert self._socket is not None
        self._numbers += 1
        self._socket.send(json.dumps({**question, "id": self._numbers}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE_S))
            if message["type"] == "result" and message["id"] == self._numbers:
                assert message["success"], message
                return message["result"]

    def _get(self, path: str) -> Any:
        return self._client.get(path).raise_for_status().json()

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self._client.post(path, json=body)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()
