"""Messages of devices that nobody has, for tests of what collects them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from edge_agent.collector.rows import Entry, Origin, entry_of
from edge_agent.contracts import (
    CaptureMetrics,
    Clock,
    Event,
    EventKind,
    Health,
    MachineMetrics,
    Metrics,
    OpenContract,
    Percentiles,
    Report,
    Result,
    Specimen,
    SpoolMetrics,
    Status,
    StatusState,
    Topics,
)
from edge_agent.testing.simulated_readings import CAPTURE, LABELS, MODEL, SimulatedReadings

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
TOPICS = Topics("north-clinic", "scope-1")
SESSION = uuid7()

_READINGS = SimulatedReadings(1)


def who(topics: Topics = TOPICS, session: UUID = SESSION) -> dict[str, Any]:
    return {"site": topics.site, "device": topics.device, "session": session}


def make_result(seq: int = 0, *, topics: Topics = TOPICS, session: UUID = SESSION, **changes: Any) -> Result:
    values: dict[str, Any] = {
        **who(topics, session),
        **_READINGS.draw(),
        "demonstration": True,
        "id": uuid7(),
        "camera": "camera0",
        "seq": seq,
        "captured_at": NOW,
        "clock": Clock(synchronised=True, boot_id=None, monotonic_ns=seq),
        "source": "simulated",
        "specimen": None,
        "model": MODEL,
        "software": "leukoscope test",
        "capture": CAPTURE,
    }
    return Result(**{**values, **changes})


def make_event(**changes: Any) -> Event:
    values: dict[str, Any] = {
        **who(),
        "id": uuid7(),
        "at": NOW,
        "kind": EventKind.STARTED,
        "code": None,
        "message": "The device has started.",
        "details": {"cameras": 1, "path": None},
        "audit": None,
    }
    return Event(**{**values, **changes})


def make_report(**changes: Any) -> Report:
    values: dict[str, Any] = {
        **who(),
        "demonstration": True,
        "id": uuid7(),
        "specimen": Specimen(id="S-7K3F-92QX", slide=1),
        "began_at": NOW,
        "finished_at": NOW,
        "readings_count": 3,
        "outcomes_count": {"classified": 2, "rejected": 1},
        "reasons_count": {"blurred": 1},
        "labels_count": {LABELS[0].code: 2},
        "malignant_count": 0,
        "malignant": {"fields_count": 0, "ratio": 0.0, "low_ratio": 0.0, "high_ratio": 0.66},
        "model": MODEL,
        "models_count": 1,
    }
    return Report(**{**values, **changes})


def make_metrics(**changes: Any) -> Metrics:
    values: dict[str, Any] = {
        **who(),
        "at": NOW,
        "uptime_s": 60.0,
        "readings_count": 60,
        "reading_rate_hz": 1.0,
        "frame_rate_hz": 1.0,
        "latency_ms": {"total": Percentiles(p50_ms=60.0, p95_ms=80.0, p99_ms=86.0, samples_count=60)},
        "capture": CaptureMetrics(frames_count=60, superseded_count=0, identical_count=0, reopened_count=0),
        "spool": SpoolMetrics(
            waiting_count=2,
            in_flight_count=0,
            stored_bytes=0,
            oldest_age_s=None,
            accepted_count=60,
            acknowledged_count=58,
            refused_count=0,
            dropped_count=0,
            commits_count=10,
            checkpoints_count=1,
        ),
        "machine": MachineMetrics(
            cpu_temperature_c=48.5,
            throttling=(),
            cpu_use_pct=21.0,
            resident_bytes=140_000_000,
            memory_available_bytes=1_200_000_000,
            disk_free_bytes=20_000_000_000,
            written_bytes=None,
            open_files_count=24,
        ),
    }
    return Metrics(**{**values, **changes})


def make_status(state: StatusState = StatusState.READY, at: datetime = NOW, **changes: Any) -> Status:
    return Status(**{**who(), "state": state, "code": None, "at": at, **changes})


def make_health(**changes: Any) -> Health:
    return Health(**{**who(), "at": NOW, "state": "ok", "checks": (), **changes})


def make_entry(body: OpenContract, *, received_at: datetime = NOW, payload: bytes | None = None) -> Entry:
    """As it would be received. ``payload`` replaces what the message says of itself."""
    said = json.loads(body.to_json())
    kind = str(said["schema"]).split("/")[1]
    topic = f"leukoscope/v1/{said['site']}/{said['device']}/{kind}"
    origin = Origin(topic, said["site"], said["device"], received_at, payload or body.to_json())
    entry = entry_of(origin, body)
    assert entry is not None
    return entry
