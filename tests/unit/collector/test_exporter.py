"""The metrics of the fleet at the collector's endpoint, and when they appear."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.request import urlopen
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from uuid_utils.compat import uuid7

from edge_agent.cli.local_broker import free_port
from edge_agent.client.liveness import SILENT_AFTER_S
from edge_agent.client.messages import Message
from edge_agent.collector.exporter.counting import RunningCounters
from edge_agent.collector.exporter.endpoint import Exporter
from edge_agent.collector.exporter.families import STATES, collector_metrics, fleet_metrics
from edge_agent.collector.exporter.fleet import STALE_AFTER_S, Fleet
from edge_agent.collector.exporter.settings import ExporterSettings
from edge_agent.collector.figures import Figures
from edge_agent.contracts import (
    CaptureMetrics,
    Check,
    CheckState,
    Health,
    Info,
    MachineMetrics,
    Metrics,
    ModelIdentity,
    Percentiles,
    Software,
    SpoolMetrics,
    Status,
    StatusState,
)
from edge_agent.errors import CameraLost, DatabaseUnreachable, PrometheusPortTaken
from edge_agent.metric_families import FAMILIES, MAX_VALUES_COUNT, Family, Sample
from edge_agent.metric_figures import Kind
from edge_agent.monitoring.prometheus.exporter import Exporter as AgentExporter
from edge_agent.monitoring.prometheus.settings import PrometheusSettings

SITE, DEVICE = "north-clinic", "scope-1"
AT = datetime(2026, 11, 29, 12, tzinfo=UTC)
OLD, NEW = sorted((uuid7(), uuid7()))


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def status(state: StatusState = StatusState.READY, session: UUID = OLD) -> Status:
    return Status(site=SITE, device=DEVICE, session=session, state=state, code=None, at=AT)


def health(*checks: Check, session: UUID = OLD) -> Health:
    return Health(site=SITE, device=DEVICE, session=session, at=AT, state=CheckState.OK, checks=checks)


def metrics(readings: int = 5, *, session: UUID = OLD, uptime_s: float = 60.0, **changes: Any) -> Metrics:
    spool = SpoolMetrics(
        waiting_count=3,
        in_flight_count=1,
        stored_bytes=4096,
        oldest_age_s=12.5,
        accepted_count=100,
        acknowledged_count=96,
        refused_count=0,
        dropped_count=0,
        quarantined_count=1,
        commits_count=50,
        checkpoints_count=2,
    )
    machine = MachineMetrics(
        cpu_temperature_c=None,
        throttling=None,
        cpu_use_pct=150.0,
        resident_bytes=150_000_000,
        memory_available_bytes=1_000_000_000,
        disk_free_bytes=10_000_000_000,
        written_bytes=12345,
        open_files_count=20,
    )
    fields: dict[str, Any] = {
        "site": SITE,
        "device": DEVICE,
        "session": session,
        "at": AT + timedelta(seconds=uptime_s),
        "uptime_s": uptime_s,
        "readings_count": readings,
        "outcomes_count": {"classified": readings - 2, "rejected": 2},
        "reasons_count": {"too_dark": 2},
        "labels_count": {"benign": readings - 2},
        "reading_rate_hz": 1.0,
        "frame_rate_hz": 1.0,
        "latency_ms": {"total": Percentiles(p50_ms=100.0, p95_ms=150.0, p99_ms=200.0, samples_count=5)},
        "capture": CaptureMetrics(frames_count=5, superseded_count=0, identical_count=0, reopened_count=0),
        "spool": spool,
        "machine": machine,
    }
    return Metrics(**fields | changes)


Served = dict[tuple[str, frozenset[tuple[str, str]]], float]


@contextmanager
def serving(fleet: Fleet, figures: Figures | None = None) -> Iterator[str]:
    port = free_port()
    exporter = Exporter(ExporterSettings(port=port), figures or Figures(), fleet, "collector-1")
    try:
        yield f"http://127.0.0.1:{port}/metrics"
    finally:
        exporter.stop()


class _Served(Collector):
    def __init__(self, fleet: Fleet, figures: Figures) -> None:
        self._fleet, self._figures = fleet, figures

    def collect(self) -> Iterator[Metric]:
        yield from collector_metrics(self._figures, self._fleet, "collector-1")
        yield from fleet_metrics(self._fleet)


def scrape(fleet: Fleet, figures: Figures | None = None) -> str:
    """The endpoint's answer, without the endpoint."""
    registry = CollectorRegistry()
    registry.register(_Served(fleet, figures or Figures()))
    return generate_latest(registry).decode()


def values(text: str) -> Served:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(text: str, name: str, **labels: str) -> float | None:
    return values(text).get((f"leukoscope_{name}", frozenset(labels.items())))


def of_device(text: str, name: str, **labels: str) -> float | None:
    return value(text, name, site=SITE, device=DEVICE, **labels)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fleet(clock: Clock) -> Fleet:
    return Fleet(monotonic_s=clock)


def take(fleet: Fleet, *bodies: Any) -> None:
    for body in bodies:
        fleet.take(Message(SITE, DEVICE, "any", body))


def test_a_device_is_in_one_state(fleet: Fleet, clock: Clock) -> None:
    take(fleet, status())
    clock.now_s += 30
    text = scrape(fleet)
    assert {state: of_device(text, "device_state", state=state) for state in STATES} == {
        state: float(str(state) == "ready") for state in STATES
    }
    assert of_device(text, "device_heartbeat_age_seconds") == 30


def test_a_device_that_does_not_repeat_its_status_is_silent(fleet: Fleet, clock: Clock) -> None:
    take(fleet, status(), metrics(), health(Check(name="camera", state=CheckState.OK)))
    clock.now_s += SILENT_AFTER_S + 1
    text = scrape(fleet)
    assert of_device(text, "device_state", state="silent") == 1
    assert of_device(text, "device_state", state="ready") == 0
    take(fleet, status())
    assert of_device(scrape(fleet), "device_state", state="ready") == 1


def test_the_last_will_of_an_older_session_is_ignored(fleet: Fleet) -> None:
    take(fleet, status(session=OLD), status(session=NEW), status(StatusState.LOST, session=OLD))
    assert of_device(scrape(fleet), "device_state", state="ready") == 1
    take(fleet, status(StatusState.LOST, session=NEW))
    assert of_device(scrape(fleet), "device_state", state="lost") == 1


def test_what_describes_the_present_is_void_when_a_device_is_lost(fleet: Fleet) -> None:
    checks = health(Check.from_error("camera", CameraLost("It is unplugged.")))
    take(fleet, status(), metrics(), checks)
    there = scrape(fleet)
    assert of_device(there, "check_ok", check="camera", code="camera_lost") == 0
    assert of_device(there, "spool_waiting_messages") == 3
    take(fleet, status(StatusState.LOST))
    gone = scrape(fleet)
    assert of_device(gone, "check_ok", check="camera", code="camera_lost") is None
    assert of_device(gone, "spool_waiting_messages") is None
    # A counter that vanishes and returns would be a gap in every rate.
    assert of_device(gone, "readings_total", outcome="classified") == 3


def test_health_of_an_ended_session_says_nothing_of_the_new_one(fleet: Fleet) -> None:
    take(fleet, status(), health(Check(name="camera", state=CheckState.OK)), status(session=NEW))
    assert of_device(scrape(fleet), "check_ok", check="camera", code="") is None


def test_an_unknown_check_raises_no_alarm(fleet: Fleet) -> None:
    take(fleet, status(), health(Check.unknown("power", "Not a Raspberry Pi.")))
    text = scrape(fleet)
    assert of_device(text, "check_ok", check="power", code="") is None
    assert of_device(text, "check_state", check="power", state="unknown") == 1


def test_figures_are_in_the_units_of_prometheus(fleet: Fleet) -> None:
    take(fleet, status(), metrics())
    text = scrape(fleet)
    assert of_device(text, "latency_seconds", stage="total", percentile="99") == pytest.approx(0.2)
    assert of_device(text, "machine_cpu_use_ratio") == pytest.approx(1.5)
    assert of_device(text, "uptime_seconds") == 60
    assert of_device(text, "readings_total", outcome="rejected") == 2
    assert of_device(text, "refusals_total", reason="too_dark") == 2
    assert of_device(text, "labels_total", label="benign") == 3
    # Values that a computer cannot measure are left out; 0 degrees would be a figure.
    assert of_device(text, "machine_cpu_temperature_celsius") is None


def test_figures_that_are_no_longer_sent_go_stale(fleet: Fleet, clock: Clock) -> None:
    take(fleet, status(), metrics())
    clock.now_s += STALE_AFTER_S + 1
    take(fleet, status())
    text = scrape(fleet)
    assert of_device(text, "uptime_seconds") is None
    assert of_device(text, "readings_total", outcome="classified") == 3


def test_a_restart_does_not_hide_readings(fleet: Fleet) -> None:
    take(fleet, status(), metrics(5), metrics(7, session=NEW, uptime_s=30))
    text = scrape(fleet)
    assert of_device(text, "readings_total", outcome="classified") == 8
    # The spool continues to count.
    assert of_device(text, "spool_accepted_messages_total") == 100


def test_a_late_message_does_not_turn_counters_back(fleet: Fleet) -> None:
    take(fleet, status(), metrics(9, uptime_s=90), metrics(5, uptime_s=60))
    assert of_device(scrape(fleet), "readings_total", outcome="classified") == 7
    take(fleet, metrics(2, session=NEW, uptime_s=1), metrics(10, uptime_s=120))
    assert of_device(scrape(fleet), "readings_total", outcome="classified") == 7


COUNTER = Family("readings", Kind.COUNTER, "Readings")
LASTING = Family("accepted", Kind.COUNTER, "Accepted", lasts=True)


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 1000), st.integers(0, 1000), st.booleans()), min_size=1, max_size=30
    )
)
def test_counters_never_go_backwards(said: list[tuple[bool, int, int, bool]]) -> None:
    counters, session, before = RunningCounters(), UUID(int=1), dict[str, float]()
    for restarts, readings, accepted, is_complete in said:
        if restarts:
            session = UUID(int=session.int + 1)
        samples = [Sample(COUNTER, readings)]
        if is_complete:
            samples.append(Sample(LASTING, accepted))
        counters.count(session, samples)
        now = {each.family.name: each.value for each in counters.samples()}
        assert all(now[name] >= value for name, value in before.items())
        before = now


def test_a_cleared_status_takes_the_device_away(fleet: Fleet) -> None:
    take(fleet, status(), metrics())
    fleet.forget(SITE, DEVICE)
    assert DEVICE not in scrape(fleet)


def test_messages_cannot_fill_the_memory(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    take(fleet, status(), metrics(reasons_count={f"reason-{number}" * 20: 1 for number in range(500)}))
    reasons = re.findall(r'refusals_total\{.*reason="(.*?)"', scrape(fleet))
    assert len(reasons) <= MAX_VALUES_COUNT
    monkeypatch.setattr("edge_agent.client.liveness.MAX_DEVICES_COUNT", 20)
    for number in range(25):
        fleet.take(Message(SITE, f"invented-{number}", "status", status()))
    assert len(fleet.read()) == 20
    assert fleet.ignored_count == 6


def test_the_collector_tells_of_itself(fleet: Fleet) -> None:
    figures = Figures()
    figures.received_count.update({"result": 10, "event": 2})
    figures.stored_count.update({"results": 9})
    figures.unreadable_count.update({"damaged": 1})
    figures.acknowledged_count, figures.behind_s = 12, 0.25
    figures.batch_seconds.observe(0.03)
    text = scrape(fleet, figures)
    assert value(text, "collector_received_messages_total", kind="result") == 10
    assert value(text, "collector_stored_rows_total", table="results") == 9
    assert value(text, "collector_unreadable_messages_total", fault="damaged") == 1
    assert value(text, "collector_acknowledged_messages_total") == 12
    assert value(text, "collector_behind_seconds") == 0.25
    assert value(text, "collector_batch_seconds_bucket", le="0.05") == 1
    assert value(text, "collector_batch_seconds_bucket", le="0.025") == 0
    assert value(text, "collector_database_up") == 1
    figures.database_error = DatabaseUnreachable("It is gone.")
    assert value(scrape(fleet, figures), "collector_database_up") == 0


def test_the_endpoint_answers(fleet: Fleet) -> None:
    take(fleet, status(), metrics())
    with serving(fleet) as address, urlopen(address) as answer:  # noqa: S310 - the endpoint under test
        text = answer.read().decode()
    assert of_device(text, "device_state", state="ready") == 1
    assert value(text, "collector_database_up") == 1


def test_a_port_that_is_taken_is_one_clear_error(fleet: Fleet) -> None:
    with serving(fleet) as address:
        port = int(address.split(":")[2].split("/")[0])
        with pytest.raises(PrometheusPortTaken, match=str(port)):
            Exporter(ExporterSettings(port=port), Figures(), fleet, "collector-2")


def test_a_device_s_own_endpoint_says_the_same_by_the_same_names() -> None:
    checks = health(
        Check(name="spool", state=CheckState.OK), Check.from_error("camera", CameraLost("It is unplugged."))
    )
    fleet = Fleet()
    take(fleet, status(), metrics(), checks)
    port = free_port()
    agent = AgentExporter(PrometheusSettings(port=port))
    try:
        agent.set_metrics(metrics())
        agent.set_health(checks)
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            said = values(answer.read().decode())
    finally:
        agent.stop()
    served = values(scrape(fleet))
    assert said
    assert {key: served.get(key) for key in said} == said


def test_every_family_has_a_name_of_its_own() -> None:
    names = [family.name for family in FAMILIES]
    assert len(names) == len(set(names))


CHECKS = (Check(name="spool", state=CheckState.OK), Check.from_error("camera", CameraLost("It is unplugged.")))

INFO = Info(
    site=SITE,
    device=DEVICE,
    session=OLD,
    demonstration=False,
    started_at=AT,
    machine="aarch64",
    software=Software(leukoscope="0.3.0", python="3.11", opencv="4", runtime="none"),
    cameras=(),
    model=ModelIdentity(name="blasts", version="1", sha256="0" * 64, preprocessing="rgb@1", runtime="none"),
    schemas=(),
)


def everything() -> str:
    """Every metric that the endpoint can serve, once."""
    fleet, figures = Fleet(), Figures()
    take(fleet, status(), INFO, metrics(), health(*CHECKS))
    figures.received_count["result"] = figures.stored_count["results"] = figures.unreadable_count["damaged"] = 1
    figures.behind_s, figures.committed_at = 0.1, AT
    return scrape(fleet, figures)


def test_promtool_finds_nothing_to_criticise() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=everything(), capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
