"""The commands as a user types them: real processes, real output, real exit codes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_agent.cli.demo import demo_config, run_demo
from edge_agent.cli.local_broker import free_port, local_broker
from edge_agent.contracts import Calibration, Result
from edge_agent.mqtt import MqttSettings
from tests.mqtt import PATIENCE_S, Subscriber
from tests.unit.calibration.drawings import draw_ruler

AGENT = [sys.executable, "-c", "from edge_agent.cli import main; main()"]


def agent(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*AGENT, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, "COLUMNS": "200", **environment},
    )


def results(output: str) -> list[Result]:
    return [Result.model_validate_json(line) for line in output.splitlines()]


@pytest.fixture
def pictures(tmp_path: Path, smear: NDArray[np.uint8]) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(smear).save(folder / f"{number}.png")
    return folder


def test_classify_prints_one_result_per_image(pictures: Path) -> None:
    done = agent("classify", pictures, "--bundle", "demo")
    assert done.returncode == 0, done.stderr
    found = results(done.stdout)
    assert [each.source for each in found] == ["0.png", "1.png", "2.png"]
    assert all(each.demonstration for each in found)


def test_classify_names_what_it_could_not_read_and_exits_with_3(pictures: Path) -> None:
    (pictures / "1.png").write_bytes(b"broken")
    done = agent("classify", pictures, pictures / "absent.jpg", "--bundle", "demo")
    assert done.returncode == 3
    assert [each.outcome for each in results(done.stdout)] == ["classified", "failed", "classified"]
    assert "2 not read" in done.stderr
    assert "1.png: image_unreadable" in done.stderr
    assert "absent.jpg: image_missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_calibrate_measures_a_micrometer_and_names_what_it_could_not_read(tmp_path: Path) -> None:
    Image.fromarray(draw_ruler(40, 25)).save(tmp_path / "ruler.png")
    (tmp_path / "broken.png").write_bytes(b"broken")
    done = agent("calibrate", "--micrometer", "--json", tmp_path)
    assert done.returncode == 3, done.stderr
    found = Calibration.model_validate_json(done.stdout)
    assert found.scale is not None
    assert found.scale.um_per_pixel == pytest.approx(0.25, rel=0.01)
    assert "broken.png: image_unreadable" in done.stderr
    assert "Traceback" not in done.stderr


def test_classify_reads_videos_frame_by_frame(tmp_path: Path, smear: NDArray[np.uint8]) -> None:
    path = tmp_path / "slide.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (224, 224))
    for _ in range(4):
        writer.write(smear[..., ::-1])
    writer.release()
    done = agent("classify", path, "--bundle", "demo")
    assert done.returncode == 0, done.stderr
    assert [each.source for each in results(done.stdout)] == [f"slide.avi#frame={number}" for number in range(4)]


def test_classify_as_a_table_says_what_it_is_for(pictures: Path) -> None:
    done = agent("classify", pictures, "--bundle", "demo", "--format", "table")
    assert done.returncode == 0
    assert "0.png" in done.stdout
    assert "Research use only" in done.stdout


def test_classify_takes_files_of_any_name_from_anywhere(pictures: Path, tmp_path: Path) -> None:
    """Names that are not UTF-8, look like markup or options, or move the terminal, in every form that may be given."""
    names = (b"slide-\xff.png", b"slide[red].png", b"-x.png", b"red\x1b[31m.png", "日本.png".encode())
    for name in names:
        shutil.copy(pictures / "0.png", tmp_path / os.fsdecode(name))
    (tmp_path / "0.png").write_bytes(b"")
    named = [tmp_path / os.fsdecode(name) for name in names]
    relative = os.path.relpath(pictures / "1.png")
    for style in ("json", "table"):
        done = subprocess.run(
            [*AGENT, "classify", "--bundle", "demo", "--format", style, "--", *named, relative, tmp_path],
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
            env={**os.environ, "COLUMNS": "400"},
        )
        assert done.returncode == 3, done.stderr
        said = done.stdout.decode("utf-8")
        assert b"Traceback" not in done.stderr
        assert "\x1b[31m" not in said + done.stderr.decode("utf-8")
        for shown in ("slide-\\xff.png", "slide[red].png", "-x.png", "red\\x1b[31m.png", "日本.png", "1.png"):
            assert (json.dumps(shown, ensure_ascii=False)[1:-1] if style == "json" else shown) in said


def test_classify_stops_quietly_when_nobody_reads_on(pictures: Path) -> None:
    command = " ".join([f"'{part}'" for part in [*AGENT, "classify", str(pictures), "--bundle", "demo"]])
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -c 10"], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["classify", "x.png", "--bundle", "no-such-bundle"], 1, "bundle_missing"),
        (["classify", "x.png", "--format", "xml"], 2, "unknown format"),
        (["check-config", "absent.toml"], 2, "config_invalid"),
        (["run", "--config", "absent.toml"], 2, "config_invalid"),
        (["demo", "--broker", "nowhere"], 2, "HOST:PORT"),
        (["demo", "--interval-s", "1e9"], 2, "interval_s: input should be less than or equal to 86400"),
        (["demo", "--broker", "127.0.0.1:1", "--count", "1"], 1, "broker_unreachable"),
        (["demo", "--frames", "absent-folder", "--count", "1"], 1, "camera_absent"),
    ],
)
def test_what_a_user_can_get_wrong_is_one_clear_error(arguments: list[str], code: int, words: str) -> None:
    done = agent(*arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def write_config(folder: Path, port: int, *, trigger: str = 'mode = "continuous"\ninterval_s = 0.1') -> Path:
    file = folder / "agent.toml"
    file.write_text(
        f'[device]\nsite = "clinic"\nid = "scope-1"\n[camera]\nkind = "synthetic"\nbad_fields_ratio = 0\n'
        f'[trigger]\n{trigger}\n[analysis]\nbundle = "demo"\n[mqtt]\nport = {port}\n'
    )
    return file


def test_check_config_accepts_what_run_would_take(tmp_path: Path) -> None:
    done = agent("check-config", write_config(tmp_path, 1883))
    assert done.returncode == 0
    assert "ok" in done.stdout


def test_doctor_finds_nothing_wrong_with_a_device_that_works(tmp_path: Path, broker_port: int) -> None:
    done = agent("doctor", "--config", write_config(tmp_path, broker_port), "--json")
    findings = {each["check"]: each["code"] for each in map(json.loads, done.stdout.splitlines())}
    clock, machine = findings.pop("clock"), findings.pop("machine")
    assert findings == dict.fromkeys(
        [
            "config",
            "software",
            "runtime",
            "bundle",
            "edge-tpu",
            "speed",
            "cameras",
            "camera",
            "broker",
            "page",
            "certificates",
            "disk",
            "collection",
            "audit",
            "scale",
        ],
        "ok",
    )
    # These depend on this machine.
    assert clock in {"ok", "clock_unset"}
    assert machine in {"ok", "machine_hot", "machine_throttled", "memory_short"}


def test_doctor_names_each_fault_with_its_code_and_remedy(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(
        '[device]\nsite = "a"\nid = "b"\n[camera]\nkind = "folder"\npath = "/absent"\n'
        f'[analysis]\nbundle = "absent"\n[mqtt]\nport = {free_port()}\n'
    )
    done = agent("doctor", "--config", file, "--json")
    assert done.returncode == 1
    findings = {each["check"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert findings["bundle"]["code"] == "bundle_missing"
    assert findings["camera"]["code"] == "camera_absent"
    assert findings["broker"]["code"] == "broker_unreachable"
    assert all(each["remedy"] for each in findings.values() if each["code"] != "ok")


@contextmanager
def running_agent(config: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([*AGENT, "run", "--config", str(config)], stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_sigterm_ends_the_agent_cleanly(tmp_path: Path, broker_port: int, subscriber: Subscriber) -> None:
    with running_agent(write_config(tmp_path, broker_port)) as process:
        assert subscriber.next("result").body().seq == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        subscriber.until_state("disconnected")
        assert process.stderr is not None
        said = process.stderr.read()
    assert "stopped" in said
    assert "Traceback" not in said


def test_sighup_reads_the_configuration_again_and_survives_a_broken_one(
    tmp_path: Path, broker_port: int, subscriber: Subscriber
) -> None:
    config = write_config(tmp_path, broker_port)
    good = config.read_text()
    with running_agent(config) as process:
        session = subscriber.next("result").body().session
        config.write_text("broken")
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        while "the old configuration stays in force" not in process.stderr.readline():
            pass
        config.write_text(good.replace('"scope-1"', '"scope-2"'))
        process.send_signal(signal.SIGHUP)
        while (message := subscriber.next("result").body()).device != "scope-2":
            pass
        assert message.session == session


def test_sigusr1_asks_for_a_reading(tmp_path: Path, broker_port: int, subscriber: Subscriber) -> None:
    with running_agent(write_config(tmp_path, broker_port, trigger='mode = "triggered"')) as process:
        subscriber.until_state("ready")
        process.send_signal(signal.SIGUSR1)
        assert subscriber.next("result").body().seq == 0


def test_the_microscope_page_shows_what_is_published(tmp_path: Path, broker_port: int, subscriber: Subscriber) -> None:
    config = write_config(tmp_path, broker_port, trigger='mode = "triggered"')
    port = free_port()
    config.write_text(config.read_text() + f"[web]\nenabled = true\nport = {port}\n")
    with running_agent(config) as process:
        subscriber.until_state("ready")
        process.send_signal(signal.SIGUSR1)
        published = subscriber.next("result").body()
        with httpx2.stream("GET", f"http://127.0.0.1:{port}/events", timeout=PATIENCE_S) as events:
            lines = events.iter_lines()
            assert "event: reading" in lines
            assert Result.model_validate_json(next(lines).removeprefix("data: ")) == published
        picture = httpx2.get(f"http://127.0.0.1:{port}/readings/{published.id}/field.jpg")
        assert picture.content.startswith(b"\xff\xd8")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_the_broken_bundle_keeps_the_agent_from_judging(tmp_path: Path, demo_bundle: Path) -> None:
    (demo_bundle / "model.tflite").write_bytes(b"not the model")
    config = write_config(tmp_path, free_port())
    config.write_text(config.read_text().replace('"demo"', f'"{demo_bundle}"'))
    done = agent("run", "--config", config)
    assert done.returncode == 1
    assert "bundle_hash_mismatch" in done.stderr


def test_the_demonstration_publishes_every_reading_to_a_real_subscriber(mosquitto: str, pictures: Path) -> None:
    """As the README promises, mosquitto_sub sees as many results as were requested."""
    port = free_port()
    with local_broker(port):
        watcher = subprocess.Popen(
            ["mosquitto_sub", "-p", str(port), "-t", "leukoscope/v1/+/+/result/+", "-q", "1", "-C", "40"],
            stdout=subprocess.PIPE,
            text=True,
        )
        probe = Subscriber(port)
        probe.close()
        done = agent(
            *("demo", "--frames", pictures, "--bundle", "demo", "--count", "40"),
            *("--interval-s", "0.05", "--broker", f"127.0.0.1:{port}"),
        )
        assert done.returncode == 0, done.stderr
        seen, _ = watcher.communicate(timeout=PATIENCE_S)
    assert [each.seq for each in results(seen)] == list(range(40))
    assert "40 readings made, 40 received" in done.stdout


def test_the_demonstration_runs_without_mosquitto(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("amqtt", reason="the embedded broker is not installed")
    monkeypatch.setattr("edge_agent.cli.local_broker.find_mosquitto", lambda: None)
    port = free_port()
    shown: list[Result] = []
    with local_broker(port) as broker:
        assert "amqtt" in broker.name
        mqtt = MqttSettings(port=port, version=broker.version)
        config = demo_config(None, None, mqtt=mqtt, interval_s=0, state=tmp_path)
        counts = run_demo(config, count=3, stop=threading.Event(), show=shown.append)
    assert counts == (3, 3)
    assert [each.seq for each in shown] == [0, 1, 2]


def test_schema_writes_the_contract_that_is_committed(tmp_path: Path, repository: Path) -> None:
    done = agent("schema", "--out", tmp_path / "contract")
    assert done.returncode == 0
    committed = repository / "deploy" / "contract"
    written = {file.name: file.read_text() for file in (tmp_path / "contract").iterdir()}
    assert written == {file.name: file.read_text() for file in committed.iterdir()}, (
        "run 'edge-agent schema --out deploy/contract'"
    )
