"""The Prometheus endpoint shows the figures of the last messages, in words that people understand."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import get_args, get_origin

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from uuid_utils.compat import uuid7

from edge_agent.cli.local_broker import free_port
from edge_agent.contracts import (
    CaptureMetrics,
    Check,
    CheckState,
    Contract,
    Health,
    Metrics,
    ModelIdentity,
    Outcome,
    Percentiles,
    ShadowMetrics,
    SpoolMetrics,
)
from edge_agent.errors import CameraLost, PrometheusPortTaken
from edge_agent.metric_figures import FIGURES, Kind
from edge_agent.monitoring.prometheus.exporter import Exporter
from edge_agent.monitoring.prometheus.settings import PrometheusSettings
from tests.unit.monitoring.conftest import machine

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

METRICS = Metrics(
    site="clinic",
    device="scope-1",
    session=uuid7(),
    at=datetime.now(UTC),
    uptime_s=30.5,
    readings_count=15,
    outcomes_count={Outcome.CLASSIFIED: 9, Outcome.ABSTAINED: 4, Outcome.REJECTED: 0, Outcome.FAILED: 2},
    reasons_count={"unfamiliar": 4, "image_unreadable": 2},
    labels_count={"benign": 9},
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
    """All samples, without the labels that identify the device, which every sample has."""
    found: Samples = {}
    for family in text_string_to_metric_families(page(port)):
        for sample in family.samples:
            labels = dict(sample.labels)
            assert (labels.pop("site"), labels.pop("device")) == ("clinic", "scope-1"), sample
            found[sample.name, frozenset(labels.items())] = sample.value
    return found


def labelled(found: Samples, name: str) -> dict[tuple[str, ...], float]:
    """Values of a family by the values of its labels, in the order of the labels' names."""
    return {
        tuple(value for _, value in sorted(labels)): value for (each, labels), value in found.items() if each == name
    }


def health(*checks: Check) -> Health:
    return Health(
        site="clinic",
        device="scope-1",
        session=METRICS.session,
        at=datetime.now(UTC),
        state=CheckState.OK,
        checks=checks,
    )


def test_every_figure_of_the_message_is_there_in_base_units(exporter: Exporter, port: int) -> None:
    exporter.set_metrics(METRICS)
    found = samples(port)
    plain = {name: value for (name, labels), value in found.items() if not labels}
    assert plain["leukoscope_uptime_seconds"] == 30.5
    assert plain["leukoscope_reading_rate_hertz"] == 0.5
    assert plain["leukoscope_capture_frames_total"] == 300
    assert plain["leukoscope_spool_acknowledged_messages_total"] == 7
    assert plain["leukoscope_spool_waiting_messages"] == 1
    assert plain["leukoscope_machine_cpu_temperature_celsius"] == 50
    assert plain["leukoscope_machine_cpu_use_ratio"] == 0.125
    # A figure that is null has no value to show.
    assert "leukoscope_spool_oldest_age_seconds" not in plain
    assert "leukoscope_machine_written_bytes_total" not in plain
    assert labelled(found, "leukoscope_latency_seconds") == {
        ("50", "total"): 0.02,
        ("95", "total"): 0.03,
        ("99", "total"): 0.04,
    }


def test_readings_are_counted_by_outcome_reason_and_label(exporter: Exporter, port: int) -> None:
    exporter.set_metrics(METRICS)
    found = samples(port)
    readings = labelled(found, "leukoscope_readings_total")
    # Including those that never happened, because a rate needs a start.
    assert readings == {("classified",): 9, ("abstained",): 4, ("rejected",): 0, ("failed",): 2}
    assert labelled(found, "leukoscope_refusals_total") == {("unfamiliar",): 4, ("image_unreadable",): 2}
    assert labelled(found, "leukoscope_labels_total") == {("benign",): 9}


def parts(annotation: object) -> Iterator[object]:
    yield annotation
    for inner in get_args(annotation):
        yield from parts(inner)


def numbers_of(model: type[Contract], prefix: str = "") -> Iterator[str]:
    """Path of every plain number."""
    for name, field in model.model_fields.items():
        kinds = {field.annotation} if get_origin(field.annotation) is dict else set(parts(field.annotation))
        inner = [each for each in kinds if isinstance(each, type) and issubclass(each, Contract)]
        if inner and inner[0] is not Percentiles:
            yield from numbers_of(inner[0], f"{prefix}{name}.")
        elif {int, float} & kinds:
            yield f"{prefix}{name}"


def test_no_number_of_the_message_is_forgotten() -> None:
    # The endpoint has the readings by outcome.
    assert sorted(numbers_of(Metrics)) == sorted(["readings_count", *(figure.path for figure in FIGURES)])


def test_counters_are_those_that_only_grow(exporter: Exporter, port: int) -> None:
    exporter.set_metrics(METRICS.model_copy(update={"shadow": SHADOW}))
    kinds = {}
    for family in text_string_to_metric_families(page(port)):
        kinds[family.name] = family.type
        assert all(sample.name.endswith("_total") == (family.type == "counter") for sample in family.samples)
    assert set(kinds.values()) == {"counter", "gauge"}
    for figure in FIGURES:
        if figure.path.endswith("_count") and figure.kind is Kind.GAUGE:
            assert figure.path in {
                "spool.waiting_count",
                "spool.in_flight_count",
                "spool.quarantined_count",
                "machine.open_files_count",
            }


def test_a_candidate_has_its_figures_as_long_as_there_is_one(exporter: Exporter, port: int) -> None:
    exporter.set_metrics(METRICS)
    assert not [name for name, _ in samples(port) if "shadow" in name]
    exporter.set_metrics(METRICS.model_copy(update={"shadow": SHADOW}))
    found = samples(port)
    assert found["leukoscope_shadow_compared_fields_total", frozenset()] == 20
    assert found["leukoscope_shadow_agreement_ratio", frozenset()] == 0.95
    assert found["leukoscope_shadow_passed_over_readings_total", frozenset()] == 5
    assert labelled(found, "leukoscope_shadow_refusals_total") == {
        ("active", "unfamiliar"): 1,
        ("candidate", "unfamiliar"): 1,
        ("candidate", "low_confidence"): 1,
    }
    assert labelled(found, "leukoscope_shadow_latency_seconds")["95",] == 0.015


def test_a_check_is_well_at_fault_or_unknown(exporter: Exporter, port: int) -> None:
    exporter.set_health(
        health(
            Check(name="spool", state=CheckState.OK),
            Check.from_error("camera", CameraLost("unplugged.")),
            Check.unknown("power", "Only a Raspberry Pi reports it."),
        )
    )
    found = samples(port)
    assert labelled(found, "leukoscope_check_ok") == {("spool", ""): 1.0, ("camera", "camera_lost"): 0.0}
    states = {key for key, value in labelled(found, "leukoscope_check_state").items() if value == 1}
    assert states == {("spool", "ok"), ("camera", "degraded"), ("power", "unknown")}


def test_every_figure_is_explained(exporter: Exporter, port: int) -> None:
    exporter.set_metrics(METRICS)
    exporter.set_health(health(Check(name="spool", state=CheckState.OK)))
    explained = [line.split(" ", 3) for line in page(port).splitlines() if line.startswith("# HELP leukoscope_")]
    assert len(explained) > 20
    for _, _, name, explanation in explained:
        assert explanation != name.removeprefix("leukoscope_").replace("_", " ")
        assert " " in explanation
        assert explanation[0].isupper() or explanation[0].isdigit()


def test_prometheus_has_nothing_to_say_against_names_and_units(exporter: Exporter, port: int) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    full = {
        "shadow": SHADOW,
        "machine": machine(written_bytes=1, memory_pressure_pct=0.5, memory_kills_count=0),
        "spool": METRICS.spool.model_copy(update={"oldest_age_s": 1.5}),
    }
    exporter.set_metrics(METRICS.model_copy(update=full))
    exporter.set_health(health(Check(name="spool", state=CheckState.OK)))
    text = page(port)
    assert all(f"leukoscope_{figure.name}" in text for figure in FIGURES)
    found = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


def test_a_port_that_is_taken_is_named(exporter: Exporter, port: int) -> None:
    with pytest.raises(PrometheusPortTaken, match=str(port)):
        Exporter(PrometheusSettings(enabled=True, port=port))


@pytest.mark.parametrize("host", ["a..b", "192.0.2.1"])
def test_a_host_that_cannot_be_listened_on_is_one_error_that_names_the_setting(host: str) -> None:
    with pytest.raises(PrometheusPortTaken) as raised:
        Exporter(PrometheusSettings(enabled=True, host=host, port=free_port()))
    assert "prometheus.host" in raised.value.remedy
