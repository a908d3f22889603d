"""The places where a camera's password could appear: everything that an agent prints, writes and sends."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.testing.network_camera import NetworkCamera
from tests.mqtt import PATIENCE_S, Requester

AGENT = [sys.executable, "-c", "from edge_agent.cli import main; main()"]
SECRETS = ("nurse", "sw0rd", "fish", "hush")


class Everything:
    """Every message that a broker delivers."""

    def __init__(self, port: int) -> None:
        self.said: list[str] = []
        self._outcomes: queue.SimpleQueue[str] = queue.SimpleQueue()
        subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert subscribed.wait(PATIENCE_S)

    def _take(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        payload = message.payload.decode()
        self.said.append(f"{message.topic} {payload}")
        kind = message.topic.split("/")[4:5]
        self._outcomes.put("lost" if "camera_lost" in payload or "camera_absent" in payload else "".join(kind))

    def until(self, outcome: str) -> None:
        while self._outcomes.get(timeout=PATIENCE_S) != outcome:
            pass

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_a_cameras_password_is_in_nothing_that_the_agent_says_writes_or_sends(
    tmp_path: Path, broker_port: int, requester: Requester
) -> None:
    state = tmp_path / "state"
    file = tmp_path / "agent.toml"
    with NetworkCamera() as camera:
        serving = threading.Thread(target=camera.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        url = f"http://nurse:sw0rdfish@{camera.address}/live?user=nurse&password=hush"
        file.write_text(
            f'[device]\nsite = "clinic"\nid = "scope-1"\n[camera]\nkind = "stream"\nurl = "{url}"\n'
            f'[trigger]\nmode = "continuous"\ninterval_s = 0\n[analysis]\nbundle = "demo"\n'
            f"[capture]\nreopen_initial_s = 0.1\nreopen_max_s = 0.1\n"
            f'[mqtt]\nport = {broker_port}\n[state]\nfolder = "{state}"\n[log]\nlevel = "debug"\n'
        )
        everything = Everything(broker_port)
        process = subprocess.Popen(
            [*AGENT, "run", "--config", str(file)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            everything.until("result")
            config = requester.ask("get-config").data["config"]
            # The camera goes, so that its failure is reported as well.
            camera.stopping.set()
            camera.shutdown()
            camera.server_close()
            everything.until("lost")
            diagnosis = subprocess.run(
                [*AGENT, "doctor", "--config", str(file)], capture_output=True, text=True, timeout=60, check=False
            )
            process.send_signal(signal.SIGTERM)
            log, _ = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
            everything.close()
            serving.join()
    assert f"'url': 'http://{camera.address}'" in str(config)
    files = {path.name: path.read_bytes().decode("latin-1") for path in state.rglob("*") if path.is_file()}
    # The configuration itself, kept for starting when a new one is broken: not everybody may read it.
    del files["last-good-agent.toml"]
    assert (state / "last-good-agent.toml").stat().st_mode & 0o007 == 0
    said = {"log": log, "doctor": diagnosis.stdout + diagnosis.stderr, "messages": "\n".join(everything.said), **files}
    assert f"http://{camera.address}" in log
    assert f"http://{camera.address}" in said["messages"]
    assert f"http://{camera.address}" in said["doctor"]
    assert [(place, secret) for place, text in said.items() for secret in SECRETS if secret in text] == []
