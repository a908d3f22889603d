"""Records what a release says: every message of a device, made by that release's own code, with a real broker.

``python -m tests.contract.record CHECKOUT FOLDER`` runs the agent of the release that is checked out in ``CHECKOUT``,
and writes a file with a few different messages per topic. What is recorded of a release never changes afterwards.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from PIL import Image

from edge_agent.cameras.smear import draw_smear
from edge_agent.cli.local_broker import find_mosquitto, free_port, run_mosquitto

PREFIX = "leukoscope/v1/north-clinic/scope-1"
DEADLINE_S = 120.0
SAMPLES_MAX = 6

CONFIG = """
[device]
site = "north-clinic"
id = "scope-1"
[camera]
{camera}
um_per_pixel = 0.25
[trigger]
mode = "{mode}"
interval_s = 0.3
[analysis]
bundle = "{bundle}"
[mqtt]
port = {port}
will_delay_s = 0
[state]
folder = "{state}"
"""

REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("set-specimen", {"specimen": "S-7K3F-92QX", "slide": 1}),
    ("set-specimen", {"specimen": "S-7K3F-92QX", "slide": 2}),
    ("capture", {}),
    ("capture", {}),
    ("capture", {}),
    ("capture", {}),
    ("capture", {}),
    ("pause", {}),
    ("resume", {}),
    ("self-test", {}),
    ("get-config", {}),
    ("finish-specimen", {}),
)
"""Commands in the order in which they are sent; the second is refused, since a slide is open."""


class _Recorder:
    def __init__(self, port: int) -> None:
        self.kept: dict[str, list[Any]] = {}
        self.newest: dict[str, Any] = {}
        self._seen: dict[str, set[str]] = {}
        self.changed = threading.Condition()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.on_connect = lambda client, *_: client.subscribe("leukoscope/#", qos=1)
        self.client.on_message = lambda _client, _data, message: self.take(message.topic, bytes(message.payload))
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def take(self, topic: str, payload: bytes) -> None:
        """Keep a message that says something of a new kind."""
        if not payload:
            return
        body = json.loads(payload)
        first, *rest = topic.removeprefix(f"{PREFIX}/").split("/")
        name = {"model": f"model-{rest[0]}" if rest else "", "last": "result"}.get(first, first)
        if name == "command":
            name = f"command-{rest[0]}" if "specimen" in body else "command"
        what = [body.get(each) for each in ("outcome", "reason", "state", "kind", "command", "code")]
        kind = json.dumps([*what, bool(body.get("specimen")), bool(body.get("error"))])
        with self.changed:
            self.newest[name] = body
            kept, seen = self.kept.setdefault(name, []), self._seen.setdefault(name, set())
            if kind not in seen and (len(kept) < SAMPLES_MAX or name in {"event", "answer"}):
                seen.add(kind)
                kept.append(body)
            self.changed.notify_all()

    def wait(self, name: str, **fields: object) -> None:
        """Until there is a message with these fields."""

        def there() -> bool:
            bodies = [*self.kept.get(name, ())] if name != "status" else [self.newest.get(name, {})]
            return any(all(body.get(key) == value for key, value in fields.items()) for body in bodies)

        with self.changed:
            if not self.changed.wait_for(there, DEADLINE_S):
                raise TimeoutError(f"no {name} with {fields}")


def _draw(folder: Path) -> None:
    """Fields that are judged, one that is empty, one that is a photograph of something else, and a damaged file."""
    rng = np.random.default_rng(7)
    for number, name in enumerate(("pre-b", "benign", "pro-b", "early-pre-b", "pre-b")):
        field, _ = draw_smear(rng, name if name != "early-pre-b" else "pre-b", size_px=(448, 448))
        Image.fromarray(field).save(folder / f"{number}0.png")
    Image.new("RGB", (448, 448), (236, 234, 240)).save(folder / "01-empty.png")
    Image.fromarray(rng.integers(0, 255, (448, 448, 3), np.uint8)).save(folder / "02-noise.png")
    (folder / "03-damaged.png").write_bytes((folder / "00.png").read_bytes()[:60])


@contextmanager
def _agent(checkout: Path, config: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "edge_agent", "run", "--config", str(config)]
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(command, cwd=config.parent, env=environment) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(DEADLINE_S)


def record(checkout: Path, folder: Path) -> None:
    """Run the agent, ask it for everything, and write what it said."""
    mosquitto = find_mosquitto()
    if mosquitto is None:
        raise SystemExit("mosquitto is not installed")
    with tempfile.TemporaryDirectory() as scratch, run_mosquitto(mosquitto, port := free_port()):
        place = Path(scratch)
        images, config = place / "images", place / "agent.toml"
        images.mkdir()
        _draw(images)
        recorder = _Recorder(port)

        def configure(camera: str, mode: str, bundle: str) -> None:
            text = CONFIG.format(camera=camera, mode=mode, bundle=bundle, port=port, state=place / "state")
            config.write_text(text, encoding="utf-8")

        configure(f'kind = "folder"\npath = "{images}"', "continuous", "accurate")
        with _agent(checkout, config) as process:
            process.wait(DEADLINE_S)
        configure('kind = "synthetic"', "triggered", "demo")
        with _agent(checkout, config) as process:
            recorder.wait("result", outcome="failed")
            recorder.newest.clear()
            recorder.wait("status", state="ready")
            for command, more in REQUESTS:
                schema = _schema_of(checkout, "command-set-specimen" if more else "command")
                body = {"schema": schema, "id": str(uuid4()), **more}
                recorder.client.publish(f"{PREFIX}/command/{command}", json.dumps(body), qos=1)
                recorder.take(f"{PREFIX}/command/{command}", json.dumps(body).encode())
                time.sleep(1.5)
            recorder.wait("report")
            recorder.wait("metrics")
            process.send_signal(signal.SIGKILL)
            recorder.wait("status", state="lost")
        recorder.client.disconnect()
        recorder.client.loop_stop()
    folder.mkdir(parents=True, exist_ok=True)
    for name, messages in sorted(recorder.kept.items()):
        text = json.dumps(messages, indent=1, ensure_ascii=False).replace(scratch, "/var/lib/leukoscope") + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
        print(name, len(messages))  # noqa: T201 - a program for the terminal


def _schema_of(checkout: Path, name: str) -> str:
    """The id that a message's schema asks for."""
    schema = json.loads((checkout / "deploy" / "contract" / f"{name}.schema.json").read_text(encoding="utf-8"))
    return str(schema["properties"]["schema"]["const"])


if __name__ == "__main__":
    record(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
