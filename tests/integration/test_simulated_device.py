"""A simulated device looks like a device to everybody behind the broker, and loses nothing that it has accepted."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from edge_agent.cli.local_broker import free_port, run_mosquitto
from edge_agent.contracts import AnswerState, Outcome, Specimen, Topics
from edge_agent.monitoring import monitor
from edge_agent.mqtt import MqttSettings
from edge_agent.testing import simulated_device
from edge_agent.testing.simulated_device import SimulatedDevice, run, stop_all
from edge_agent.testing.simulated_readings import SimulatedReadings
from tests.mqtt import PATIENCE_S, Requester, Subscriber

TOPICS = Topics("clinic", "scope-1")
PROGRAM = [sys.executable, "-m", "edge_agent.testing.simulated_device"]


def device(port: int, folder: Path | None = None, **options: Any) -> SimulatedDevice:
    return SimulatedDevice(TOPICS, MqttSettings(port=port, reconnect_max_s=1), folder=folder, **options)


def test_its_messages_are_those_of_the_contract(broker_port: int, subscriber: Subscriber, tmp_path: Path) -> None:
    simulated = device(broker_port, tmp_path / "spool")
    simulated.start()
    # The subscriber checks each against its schema.
    for kind in ("info", "model-reported", "health", "specimen"):
        subscriber.next(kind)
    simulated.set_specimen(Specimen(id="S-7K3F-92QX", slide=2), 3)
    for _ in range(60):
        simulated.read()
    report = simulated.finish_specimen()
    assert simulated.wait_until_acknowledged(PATIENCE_S)
    found = [subscriber.next("result").body() for _ in range(60)]
    assert [result.seq for result in found] == list(range(60))
    assert {result.outcome for result in found} == set(Outcome)
    assert {result.site for result in found} == {"clinic"}
    assert subscriber.next("report").payload == report.to_json()
    assert sum(report.outcomes_count.values()) == report.readings_count == 60
    summary = simulated.stop()
    assert summary.accepted_count == summary.acknowledged_count
    subscriber.until_state("disconnected")


def test_it_counts_and_shows_the_newest_result(broker_port: int, subscriber: Subscriber) -> None:
    simulated = device(broker_port)
    simulated.start()
    results = [result for _ in range(20) if (result := simulated.read()) is not None]
    simulated.publish_metrics()
    metrics = subscriber.next("metrics").body()
    assert sum(metrics.outcomes_count.values()) == metrics.readings_count == 20
    assert sum(metrics.labels_count.values()) == metrics.outcomes_count[Outcome.CLASSIFIED]
    simulated.stop()
    late = Subscriber(broker_port)
    last = late.next("last")
    assert last.retained
    assert last.payload == results[0].to_json()
    late.close()


def test_it_carries_out_commands(broker_port: int, requester: Requester) -> None:
    simulated = device(broker_port)
    simulated.start()
    requester.until_there(simulated.session)
    assert requester.ask("capture").data["seq"] == 0
    assert requester.ask("pause").state is AnswerState.DONE
    assert simulated.read() is None
    assert requester.ask("resume").state is AnswerState.DONE
    assert simulated.read() is not None
    assert requester.ask("finish-specimen").error is not None
    refused = requester.ask("calibrate")
    assert (refused.state, refused.error is None) == (AnswerState.REFUSED, False)
    simulated.stop()


def test_many_run_side_by_side_until_each_has_its_count(broker_port: int) -> None:
    fleet = [
        SimulatedDevice(Topics("clinic", f"scope-{number}"), MqttSettings(port=broker_port)) for number in range(5)
    ]
    for each in fleet:
        each.start()
    run(fleet, rate_hz=1000, count=7)
    assert all(each.wait_until_acknowledged(PATIENCE_S) for each in fleet)
    assert [(summary.results_count, summary.last_seq) for summary in stop_all(fleet)] == [(7, 6)] * 5


def test_a_set_stop_ends_the_run(broker_port: int) -> None:
    simulated = device(broker_port)
    stop = threading.Event()
    stop.set()
    run([simulated], rate_hz=0.001, stop=stop)
    assert simulated.summary().results_count == 0


def test_sigterm_ends_the_process_cleanly_with_a_summary(broker_port: int, subscriber: Subscriber) -> None:
    command = [*PROGRAM, "--broker", f"127.0.0.1:{broker_port}", "--site", "clinic", "--rate-hz", "50"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        subscriber.next("result")
        process.terminate()
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    [summary] = [json.loads(line) for line in output.splitlines()]
    assert summary["results_count"] == summary["last_seq"] + 1 > 0
    assert summary["accepted_count"] == summary["acknowledged_count"]
    subscriber.until_state("disconnected")


def test_a_killed_process_delivers_later_what_it_had_accepted(mosquitto: str, tmp_path: Path) -> None:
    port = free_port()
    command = [*PROGRAM, "--broker", f"127.0.0.1:{port}", "--site", "clinic", "--state", str(tmp_path)]
    with subprocess.Popen([*command, "--rate-hz", "100"], stdout=subprocess.DEVNULL) as process:
        spool = tmp_path / "scope-1" / "spool.db-wal"
        waited = threading.Event()
        while not spool.exists() or spool.stat().st_size < 100_000:
            waited.wait(0.05)
        process.kill()
    with run_mosquitto(mosquitto, port):
        done = subprocess.run([*command, "--count", "1"], stdout=subprocess.PIPE, check=True, timeout=PATIENCE_S)
    summary = json.loads(done.stdout)
    assert summary["accepted_count"] == summary["acknowledged_count"] > 20
    assert summary["waiting_count"] == 0


def test_it_loads_neither_camera_nor_model() -> None:
    heavy = ("cv2", "numpy", "ai_edge_litert", "tflite_runtime")
    code = f"import sys, edge_agent.testing.simulated_device\nprint([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_its_intervals_are_those_of_the_agent() -> None:
    for name in ("HEALTH_INTERVAL_S", "HEALTH_EXPIRY_S", "METRICS_INTERVAL_S", "LAST_INTERVAL_S"):
        assert getattr(simulated_device, name) == getattr(monitor, name)


def test_the_same_seed_draws_the_same_readings() -> None:
    first, second, other = (SimulatedReadings(seed) for seed in (1, 1, 2))
    drawn = [first.draw() for _ in range(50)]
    assert drawn == [second.draw() for _ in range(50)]
    assert drawn != [other.draw() for _ in range(50)]
