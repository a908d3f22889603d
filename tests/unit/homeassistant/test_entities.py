"""The templates applied to messages that the agent's own code makes."""

from __future__ import annotations

import json

import pytest
from uuid_utils.compat import uuid7

from edge_agent.cameras import CaptureCounters
from edge_agent.contracts import Check, Health, Info, Metrics, Outcome, Reason, SpecimenField, Status, StatusState
from edge_agent.errors import CameraLost, DiskLow, ImageError
from edge_agent.homeassistant.entities import ALIVE, CHECKS
from edge_agent.monitoring.health import health_message, run_checks
from edge_agent.monitoring.latency import LatencyRecorder
from edge_agent.monitoring.metrics import MetricsCollector, MetricsSources
from edge_agent.monitoring.reading_counts import ReadingCounts
from edge_agent.mqtt import MqttSettings
from edge_agent.mqtt.own_status import OwnStatus
from edge_agent.spool import MemorySpool, Message
from tests.kept import Readings
from tests.unit.homeassistant.home import TERMS, TOPICS, attributes, available, shown
from tests.unit.monitoring.conftest import MakeInputs, machine

COUNTS = ReadingCounts(
    12,
    {Outcome.CLASSIFIED: 5, Outcome.ABSTAINED: 3, Outcome.REJECTED: 2, Outcome.FAILED: 2},
    {"unfamiliar": 3, "blurred": 2, ImageError.code: 2},
    {"benign": 4, "pre-b": 1},
)
SPECIMEN = SpecimenField(id="S-7K3F-92QX", slide=3, field=14)


def health(*checks: Check) -> Health:
    return health_message(TOPICS, uuid7(), checks)


def metrics(*, latency_ms: float | None = None, temperature_c: float | None = 51.5, **changes: object) -> Metrics:
    spool, latency = MemorySpool(10_000), LatencyRecorder()
    for _ in range(5):
        spool.append(Message(uuid7(), TOPICS.event, b"{}"))
    spool.take(live=True)
    if latency_ms is not None:
        latency.add({"total": latency_ms})
    collector = MetricsCollector(
        MetricsSources(lambda: COUNTS, lambda: CaptureCounters(1, 2, 3, 4), spool.stats, latency), uuid7()
    )
    return collector.collect(TOPICS, machine(cpu_temperature_c=temperature_c, **changes))


@pytest.mark.parametrize("state", [*StatusState])
def test_the_state_is_one_of_its_options_and_a_device_that_is_gone_is_not_connected(state: StatusState) -> None:
    status = Status.model_validate_json(OwnStatus(MqttSettings(), TOPICS, uuid7()).change(state).payload)
    there = state not in {StatusState.LOST, StatusState.DISCONNECTED}
    assert (state in ALIVE) == there
    assert shown(TOPICS.status, status) == {"state": state, "connected": "ON" if there else "OFF"}
    assert available(status) == there


def test_every_check_of_the_agent_has_its_entity(make_inputs: MakeInputs) -> None:
    checks = run_checks(make_inputs())
    assert [check.name for check in checks] == list(CHECKS)
    assert shown(TOPICS.health, health(*checks)) == {
        "problem": "OFF",
        **{f"check_{name}": "OFF" for name in CHECKS},
    }


def test_a_check_that_fails_shows_a_problem_with_what_to_do(make_inputs: MakeInputs) -> None:
    message = health(*run_checks(make_inputs(camera=CameraLost("It was unplugged."), throttling=None)))
    found = shown(TOPICS.health, message)
    assert {key for key, value in found.items() if value == "ON"} == {"problem", "check_camera"}
    assert found["check_power"] == "None"
    told = attributes(TOPICS.health, message)
    assert told["check_camera"] == {
        "code": "camera_lost",
        "message": "It was unplugged.",
        "remedy": CameraLost("It was unplugged.").remedy,
    }
    assert told["problem"] == {"problems": ["It was unplugged."], "remedies": [told["check_camera"]["remedy"]]}


def test_in_safe_mode_there_is_a_problem_and_the_parts_are_unknown() -> None:
    message = health(Check.from_error("configuration", DiskLow("Nothing runs.")))
    found = shown(TOPICS.health, message)
    assert found.pop("problem") == "ON"
    assert {*found.values()} == {"None"}
    assert attributes(TOPICS.health, message)["problem"]["problems"] == ["Nothing runs."]


def test_figures_are_those_of_the_metrics() -> None:
    message = metrics(latency_ms=20.0, throttling=("under_voltage", "throttled_occurred"))
    assert shown(TOPICS.metrics, message) == {
        "readings": "12",
        "classified": "5",
        "refused": "5",
        "failed": "2",
        "latency_p50": "20.0",
        "latency_p95": "20.0",
        "backlog": "5",
        "lost": "0",
        "quarantined": "0",
        "temperature": "51.5",
        "disk_free": "1099.5",
        "memory": "0.0",
        "processor": "12.5",
        "throttling": "under_voltage, throttled_occurred",
    }
    assert attributes(TOPICS.metrics, message) == {
        "classified": {"benign": 4, "pre-b": 1},
        "refused": {"unfamiliar": 3, "blurred": 2, ImageError.code: 2},
    }


def test_what_was_not_measured_is_unknown_and_no_throttling_is_not() -> None:
    found = shown(TOPICS.metrics, metrics(temperature_c=None, throttling=None))
    assert {key for key, value in found.items() if value == "None"} == {
        "latency_p50",
        "latency_p95",
        "temperature",
        "throttling",
    }
    assert shown(TOPICS.metrics, metrics(throttling=()))["throttling"] == "none"


@pytest.mark.parametrize(
    ("outcome", "label", "reason"),
    [
        (Outcome.CLASSIFIED, "benign", "None"),
        (Outcome.ABSTAINED, "None", Reason.UNFAMILIAR),
        (Outcome.REJECTED, "None", Reason.UNFAMILIAR),
        (Outcome.FAILED, "None", ImageError.code),
    ],
)
def test_the_last_reading_has_a_label_or_the_reason_why_there_is_none(
    outcome: Outcome, label: str, reason: str
) -> None:
    result, _ = Readings().make(outcome=outcome, label=None if label == "None" else label, specimen=SPECIMEN)
    assert shown(TOPICS.last, result) == {
        "last_result": json.loads(result.to_json())["captured_at"],
        "last_outcome": outcome,
        "last_reason": reason,
        "last_label": label,
    }
    meaning = {"demonstration": True, "provisional": False}
    assert attributes(TOPICS.last, result) == {"last_outcome": meaning, "last_label": meaning}


def test_neither_a_specimen_nor_a_file_name_gets_into_the_history_of_a_home() -> None:
    result, _ = Readings().make(label="benign", specimen=SPECIMEN, source="patient-doe/field7.jpg")
    assert b"S-7K3F-92QX" in result.to_json()
    kept = json.dumps([shown(TOPICS.last, result), attributes(TOPICS.last, result)])
    for private in ("S-7K3F-92QX", "doe", "field7"):
        assert private not in kept


def test_the_model_is_named_with_its_version_and_what_it_is_worth(info: Info) -> None:
    assert shown(TOPICS.info, info) == {
        "model": "demo",
        "model_version": "0.1.0",
        "head": "none",
        "demonstration": "ON",
        "provisional": "OFF",
    }


def test_no_attribute_has_a_name_that_home_assistant_drops() -> None:
    result, _ = Readings().make(label="benign")
    status = OwnStatus(MqttSettings(), TOPICS, uuid7()).change(StatusState.READY).payload
    found = [
        attributes(TOPICS.status, Status.model_validate_json(status)),
        attributes(TOPICS.last, result),
        attributes(TOPICS.health, health()),
        attributes(TOPICS.metrics, metrics()),
    ]
    assert all(found)
    names = {name for entities in found for each in entities.values() for name in each}
    assert names
    assert not names & {*TERMS["attributes_blocked"]}
