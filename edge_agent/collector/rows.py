"""Turns messages of the contract into rows of the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Table

from edge_agent.collector.column_types import RawJson
from edge_agent.collector.tables import devices, events, metrics, reports, results, unreadable
from edge_agent.contracts import Event, Health, Info, Metrics, ModelReported, Report, Result, Status

KEPT_CHARACTERS = 2000
"""Characters that are kept of the payload of an unreadable message."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a message: its topic, payload and time of receipt."""

    topic: str
    site: str
    device: str
    received_at: datetime
    payload: bytes
    retained: bool = False

    @property
    def document(self) -> RawJson:
        """The payload, which is JSON."""
        return RawJson(self.payload.decode())


@dataclass(frozen=True, slots=True)
class Entry:
    """One message as a row. If the database refuses it, ``origin`` becomes a row of ``unreadable``."""

    table: Table
    row: Mapping[str, Any]
    origin: Origin


def entry_of(origin: Origin, body: BaseModel) -> Entry | None:
    """The row of a message; None for a kind that is not stored. Site and device are those of the topic."""
    match body:
        case Result():
            return Entry(results, _result(origin, body), origin)
        case Event():
            return Entry(events, _event(origin, body), origin)
        case Report():
            return Entry(reports, _report(origin, body), origin)
        case Metrics():
            return Entry(metrics, _metrics(origin, body), origin)
        case Status() | Health() | Info() | ModelReported():
            return Entry(devices, _device(origin, body), origin)
        case _:
            return None


def unreadable_entry(origin: Origin, kind: str, reason: str) -> Entry:
    """The row of a message that cannot be read, in a form that every database accepts."""
    beginning = origin.payload[: 4 * KEPT_CHARACTERS].decode(errors="replace")[:KEPT_CHARACTERS]
    row = {
        "received_at": origin.received_at,
        "topic": _storable(origin.topic[:KEPT_CHARACTERS]),
        "kind": kind,
        "reason": _storable(reason[:KEPT_CHARACTERS]),
        "size_bytes": len(origin.payload),
        "payload": _storable(beginning),
    }
    return Entry(unreadable, row, origin)


def _storable(text: str) -> str:
    """``text`` without the null characters and lone surrogates that PostgreSQL cannot store."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def _result(origin: Origin, result: Result) -> dict[str, Any]:
    slide, decision, quality = result.specimen, result.decision, result.quality
    nuclei, head, cells = result.nuclei, result.model.head, result.differential
    return {
        "id": result.id,
        "site": origin.site,
        "device": origin.device,
        "camera": result.camera,
        "session": result.session,
        "seq": result.seq,
        "captured_at": result.captured_at,
        "received_at": origin.received_at,
        "clock_synchronised": result.clock.synchronised,
        "replayed": result.replayed,
        "demonstration": result.demonstration,
        "provisional": result.provisional,
        "specimen": slide and slide.id,
        "slide": slide and slide.slide,
        "field": slide and slide.field,
        "repeats_field": slide and slide.repeats_field,
        "outcome": result.outcome.value,
        "reason": None if result.reason is None else str(result.reason),
        "error_code": result.error and result.error.code,
        "label": result.label,
        "malignant": result.malignant,
        "malignant_ratio": result.malignant_ratio,
        "confidence_ratio": decision and decision.confidence_ratio,
        "unfamiliarity_score": decision and decision.unfamiliarity_score,
        "probabilities": result.probabilities,
        "focus_score": quality and quality.focus_score,
        "brightness_pct": quality and quality.brightness_pct,
        "nuclei_count": nuclei and nuclei.count,
        "nuclei_coverage_pct": nuclei and nuclei.coverage_pct,
        "um_per_pixel": result.scale and result.scale.um_per_pixel,
        "latency_total_ms": result.latency_ms.get("total"),
        "latency_ms": result.latency_ms,
        "model_name": result.model.name,
        "model_version": result.model.version,
        "model_sha256": result.model.sha256,
        "head_name": head and head.name,
        "head_version": head and head.version,
        "software": result.software,
        "source": result.source,
        "image_sha256": result.image and result.image.sha256,
        "payload": origin.document,
        "cells_judged_count": cells and cells.judged_count,
        "cells_refused_count": cells and cells.refused_count,
        "blasts_count": cells and cells.blasts_count,
        "blast_ratio": cells and cells.blast_ratio,
        "types_count": cells and cells.types_count,
    }


def _event(origin: Origin, event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "site": origin.site,
        "device": origin.device,
        "session": event.session,
        "at": event.at,
        "received_at": origin.received_at,
        "replayed": event.replayed,
        "kind": str(event.kind),
        "code": event.code,
        "message": event.message,
        "details": event.details,
        "payload": origin.document,
    }


def _report(origin: Origin, report: Report) -> dict[str, Any]:
    share, cells = report.malignant, report.differential
    return {
        "id": report.id,
        "site": origin.site,
        "device": origin.device,
        "session": report.session,
        "received_at": origin.received_at,
        "replayed": report.replayed,
        "demonstration": report.demonstration,
        "provisional": report.provisional,
        "specimen": report.specimen.id,
        "slide": report.specimen.slide,
        "began_at": report.began_at,
        "finished_at": report.finished_at,
        "readings_count": report.readings_count,
        "judged_count": report.judged_count,
        "malignant_count": report.malignant_count,
        "malignant_ratio": share and share.ratio,
        "low_ratio": share and share.low_ratio,
        "high_ratio": share and share.high_ratio,
        "outcomes_count": {outcome.value: count for outcome, count in report.outcomes_count.items()},
        "labels_count": report.labels_count,
        "payload": origin.document,
        "cells_judged_count": cells and cells.judged_count,
        "cells_refused_count": cells and cells.refused_count,
        "blasts_count": cells and cells.blasts.cells_count,
        "blast_ratio": cells and cells.blasts.ratio,
        "blast_low_ratio": cells and cells.blasts.low_ratio,
        "blast_high_ratio": cells and cells.blasts.high_ratio,
        "types_count": cells and {each.type: each.cells_count for each in cells.types},
    }


def _metrics(origin: Origin, figures: Metrics) -> dict[str, Any]:
    total, machine = figures.latency_ms.get("total"), figures.machine
    return {
        "site": origin.site,
        "device": origin.device,
        "session": figures.session,
        "at": figures.at,
        "received_at": origin.received_at,
        "uptime_s": figures.uptime_s,
        "readings_count": figures.readings_count,
        "reading_rate_hz": figures.reading_rate_hz,
        "frame_rate_hz": figures.frame_rate_hz,
        "latency_p50_ms": total and total.p50_ms,
        "latency_p99_ms": total and total.p99_ms,
        "waiting_count": figures.spool.waiting_count,
        "oldest_age_s": figures.spool.oldest_age_s,
        "dropped_count": figures.spool.dropped_count,
        "quarantined_count": figures.spool.quarantined_count,
        "cpu_temperature_c": machine.cpu_temperature_c,
        "cpu_use_pct": machine.cpu_use_pct,
        "resident_bytes": machine.resident_bytes,
        "disk_free_bytes": machine.disk_free_bytes,
        "payload": origin.document,
    }


def _device(origin: Origin, body: Status | Health | Info | ModelReported) -> dict[str, Any]:
    """The columns of ``devices`` that this message has values for."""
    key = {"site": origin.site, "device": origin.device, "updated_at": origin.received_at}
    match body:
        case Status():
            return key | {
                "session": body.session,
                "state": body.state.value,
                "code": body.code,
                "status_at": body.at,
                "status_received_at": origin.received_at,
            }
        case Health():
            return key | {"health_state": body.state.value, "health_at": body.at, "health": origin.document}
        case Info():
            return key | {"info": origin.document}
        case ModelReported():
            return key | {"model_reported": origin.document}
