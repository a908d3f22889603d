"""Computes what larger fleets need from the measured fleet. docs/scaling.md contains the tables that this prints."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any
from uuid import UUID

import typer

from benchmarks.app import app
from edge_agent.contracts import Clock, Topics
from edge_agent.mqtt import MqttSettings
from edge_agent.testing.simulated_device import SimulatedDevice

FIGURES = Path(__file__).parents[1] / "docs" / "figures" / "fleet"

RATE_HZ = 0.5
"""One result every two seconds, while slides are read."""
USE_RATIO = 0.5
"""Used part of a core: the other half is for peaks, and for a backlog after an outage."""
HEADER_BYTES = 60
"""Topic and MQTT's own fields, besides the payload."""
SIZES = (1_000, 10_000, 100_000)
AWAY_S = 3600
DAY_NS = 86_400 * 10**9


@app.command("fleet-sizing")
def fleet_sizing(
    figures: Annotated[Path, typer.Option(help="Folder with the JSON files of 'benchmarks fleet'.")] = FIGURES,
) -> None:
    """Tables for docs/scaling.md: what was measured, and what 10,000 and 100,000 devices need by these figures."""
    for line in tables(figures):
        typer.echo(line)


def tables(figures: Path) -> Iterator[str]:
    """The lines of the tables, in Markdown."""
    found = {path.stem: json.loads(path.read_text())["rows"] for path in sorted(figures.glob("*.json"))}
    yield from _measured(found)
    yield ""
    yield from _predicted(found)


def _measured(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    yield (
        "| Measured | spools | devices | results/s asked | reached | accepted | delivered | lost | repeats | p50 | p99 "
        "| p99 with the faults | broker: CPU s per 1,000 results | peak memory |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for broker, rows in found.items():
        for row in rows:
            cells = [
                broker,
                row["spool"],
                f"{row['devices_count']:,}",
                f"{row['wished_hz']:g}",
                f"{row['reached_hz']:g}",
                *(f"{row[f'{what}_count']:,}" for what in ("accepted", "delivered", "lost", "duplicates")),
                *(_time(row[f"{what}_ms"]) for what in ("steady_p50", "steady_p99", "all_p99")),
                f"{row['broker_cpu_s_per_1000']:.2f}",
                f"{row['broker_peak_mib']:.0f} MiB",
            ]
            yield f"| {' | '.join(cells)} |"


def _predicted(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Cores from the broker's processor time per result, which is assumed to be the same at any size."""
    size_bytes = result_bytes()
    yield (
        "| Devices | results/s | to the broker, predicted | kept for an hour without a collector, predicted | "
        + " | ".join(f"{broker}: cores in use, measured | cores to have, predicted" for broker in found)
        + " |"
    )
    yield f"| --- | --- | --- | --- |{' --- | --- |' * len(found)}"
    # The run with the most results per second spends the smallest share of its time on an idle broker.
    best = {broker: max(rows, key=lambda row: row["reached_hz"]) for broker, rows in found.items()}
    measured = {(row["devices_count"], row["wished_hz"]) for row in best.values()}
    for devices, rate_hz in sorted({*measured, *((devices, devices * RATE_HZ) for devices in SIZES)}):
        cells = [
            f"{devices:,}",
            f"{rate_hz:,.0f}",
            f"{rate_hz * (size_bytes + HEADER_BYTES) * 8 / 1e6:,.1f} Mbit/s",
            f"{rate_hz * AWAY_S * size_bytes / 2**30:,.1f} GiB",
        ]
        for row in best.values():
            is_this = (row["devices_count"], row["wished_hz"]) == (devices, rate_hz)
            cells.append(
                f"{row['broker_cpu_s'] / (row['duration_s'] + row['drained_s']):.2f}" if is_this else "not run"
            )
            cells.append(f"{math.ceil(rate_hz / 1000 * row['broker_cpu_s_per_1000'] / USE_RATIO * 10) / 10:,.1f}")
        yield f"| {' | '.join(cells)} |"


def result_bytes() -> float:
    """Mean size of a simulated result's payload. A real one with thirteen cells has 3,554 bytes."""
    device = SimulatedDevice(Topics("north-clinic", "scope-1"), MqttSettings(), seed=1)
    device.session = UUID(int=0)
    # The counter of this computer has more digits the longer it has run.
    clock = Clock(synchronised=True, boot_id=str(UUID(int=0)), monotonic_ns=DAY_NS)
    results = (device.read() for _ in range(500))
    return fmean(len(each.model_copy(update={"clock": clock}).to_json()) for each in results if each is not None)


def _time(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "none"
    return f"{milliseconds / 1000:.1f} s" if milliseconds >= 1000 else f"{milliseconds:.0f} ms"
