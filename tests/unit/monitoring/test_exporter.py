"""The Prometheus endpoint shows the figures of the last messages, in words that a person understands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from uuid_utils.compat import uuid7

from edge_agent.cli.local_broker import free_port
from edge_agent.contracts import (
    CaptureMetrics,
    Check,
    CheckState,
    Metrics,
    ModelIdentity,
    Percentiles,
    ShadowMetrics,
    SpoolMetrics,
)
from edge_agent.errors import CameraLost, PrometheusPortTaken
from edge_agent.monitoring.prometheus.exporter import Exporter
from edge_agent.monitoring.prometheus.settings import PrometheusSettings
from tests.unit.monitoring.conftest import machine

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

METRICS = Metrics(
    device="scope-1",
    session=uuid7(),
    at=datetime.now(UTC),
    uptime_s=30.5,
    readings_count=15,
    reading_rate_hz=0.5,
    frame_rate_hz=10.0,
    latency_ms={"total": Percentiles(p50_ms=20.0, p95_ms=30.0, p99_ms=40.0, samples_count=15)},
    capture=CaptureMetrics(frames_count=300, superseded_count=4, identical_count=3, reopened_count=2),
    spool=SpoolMetrics(
        waiting_count=1,
        in_flight_count=2,
        stored_bytes=300,
        oldest_age_s=None,
        accepted_count=10,
        acknowledged_count=7,
        refused_count=0,
        dropped_count=0,
        commits_count=4,
        checkpoints_count=1,
    ),
    machine=machine(),
)


SHADOW = ShadowMetrics(
    model=ModelIdentity(name="fast", version="1.2.0", sha256="a" * 64, preprocessing="rgb@1", runtime="none"),
    provisional=False,
    since=datetime.now(UTC),
    compared_count=20,
    unfit_count=3,
    agreeing_count=19,
    agreement_ratio=0.95,
    agreement_low_ratio=0.76,
    agreement_high_ratio=0.99,
    labels_comparable=True,
    both_classified_count=18,
    other_label_count=0,
    active_refused_count=1,
    candidate_refused_count=2,
    active_refusals_count={"unfamiliar": 1},
    candidate_refusals_count={"unfamiliar": 1, "low_confidence": 1},
    passed_over_count=5,
    failures_count=0,
    latency_ms=Percentiles(p50_ms=12.0, p95_ms=15.0, p99_ms=16.0, samples_count=20),
)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def exporter(port: int) -> Iterator[Exporter]:
    found = Exporter(PrometheusSettings(enabled=True, port=port))
    yield found
    found.stop()


def page(port: int) -> str:
    return httpx2.get(f"http://127.0.0.1:{port}/metrics").text


def samples(port: int) -> Samples:
    families = text_string_to_metric_families(page(port))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_every_figure_of_the_message_is_there(exporter: Exporter, port: int) -> None:
    exporter.set_metrics(METRICS)
    found = samples(port)
    plain = {name: value for (name, labels), value in found.items() if not labels}
    assert plain["leukoscope_uptime_s"] == 30.5
    assert plain["leukoscope_readings_count"] == 15
    assert plain["leukoscope_reading_rate_hz"] == 0.5
    assert plain["leukoscope_capture_frames_count"] == 300
    assert plain["leukoscope_spool_acknowledged_count"] == 7
    assert plain["leukoscope_machine_cpu_temperature_c"] == 50
    # A figure that is null has no value to show.
    assert "leukoscope_spool_oldest_age_s" not in plain
    assert "leukoscope_machine_written_bytes" not in plain
    stage = ("stage", "total")
    latency = {
        quantile: found["leukoscope_latency_ms", frozenset({stage, ("quantile", quantile)})]
        for quantile in ("0.5", "0.95", "0.99")
    }
    assert latency == {"0.5": 20.0, "0.95": 30.0, "0.99": 40.0}


def test_a_candidate_has_its_figures_as_long_as_there_is_one(exporter: Exporter, port: int) -> None:
    exporter.set_metrics(METRICS)
    assert not [name for name, _ in samples(port) if "shadow" in name]
    exporter.set_metrics(METRICS.model_copy(update={"shadow": SHADOW}))
    found = samples(port)
    assert found["leukoscope_shadow_compared_count", frozenset()] == 20
    assert found["leukoscope_shadow_agreement_ratio", frozenset()] == 0.95
    assert found["leukoscope_shadow_passed_over_count", frozenset()] == 5
    by_reason = {labels: value for (name, labels), value in found.items() if name == "leukoscope_shadow_refusals_count"}
    assert by_reason == {
        frozenset({("by", "active"), ("reason", "unfamiliar")}): 1,
        frozenset({("by", "candidate"), ("reason", "unfamiliar")}): 1,
        frozenset({("by", "candidate"), ("reason", "low_confidence")}): 1,
    }
    assert found["leukoscope_shadow_latency_ms", frozenset({("quantile", "0.95")})] == 15


def test_a_check_is_well_at_fault_or_unknown(exporter: Exporter, port: int) -> None:
    exporter.set_checks(
        (
            Check(name="spool", state=CheckState.OK),
            Check.from_error("camera", CameraLost("unplugged.")),
            Check.unknown("power", "Only a Raspberry Pi reports it."),
        )
    )
    found = samples(port)
    ok = {dict(labels)["check"]: value for (name, labels), value in found.items() if name == "leukoscope_check_ok"}
    assert ok == {"spool": 1.0, "camera": 0.0}
    assert ("leukoscope_check_ok", frozenset({("check", "camera"), ("code", "camera_lost")})) in found
    states = {
        (dict(labels)["check"], dict(labels)["state"])
        for (name, labels), value in found.items()
        if name == "leukoscope_check_state" and value == 1
    }
    assert states == {("spool", "ok"), ("camera", "degraded"), ("power", "unknown")}


def test_every_figure_is_explained(exporter: Exporter, port: int) -> None:
    exporter.set_metrics(METRICS)
    exporter.set_checks((Check(name="spool", state=CheckState.OK),))
    explained = [line.split(" ", 3) for line in page(port).splitlines() if line.startswith("# HELP leukoscope_")]
    assert len(explained) > 20
    for _, _, name, explanation in explained:
        assert explanation != name.removeprefix("leukoscope_").replace("_", " ")
        assert explanation[0].isupper() or explanation[0].isdigit()


def test_a_port_that_is_taken_is_named(exporter: Exporter, port: int) -> None:
    with pytest.raises(PrometheusPortTaken, match=str(port)):
        Exporter(PrometheusSettings(enabled=True, port=port))


@pytest.mark.parametrize("host", ["a..b", "192.0.2.1"])
def test_a_host_that_cannot_be_listened_on_is_one_error_that_names_the_setting(host: str) -> None:
    with pytest.raises(PrometheusPortTaken) as raised:
        Exporter(PrometheusSettings(enabled=True, host=host, port=free_port()))
    assert "prometheus.host" in raised.value.remedy
