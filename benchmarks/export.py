"""Memory and speed of the collector's exports, by the size of the database."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from sqlalchemy import Engine, text

from benchmarks.app import app
from benchmarks.machine import MAX_OTHERS_PCT
from benchmarks.report import AsJson, Findings, Goal, MaxOthers, Out, ratio, reported
from edge_agent.collector.database import open_database
from edge_agent.collector.schema import migrate
from edge_agent.collector.settings import DatabaseSettings
from edge_agent.collector.tables import results
from edge_agent.collector.writer import Writer
from edge_agent.contracts.specimen import SpecimenField
from tests.collecting import NOW, make_entry, make_result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = {
    "format": "format",
    "rows_count": "rows",
    "peak_mb": "peak MB",
    "wall_s": "s",
    "rows_per_s": "rows/s",
    "file_mb": "MB written",
}

SEEDED_COUNT = 2000
"""Number of different readings; a larger database repeats them with other ids, times and specimens."""
FIELDS_COUNT = 200
"""Number of readings of a slide."""


@app.command("export")
def export(
    rows: Annotated[int, typer.Option(min=20_000, help="Rows of the larger database; the smaller has a tenth.")] = (
        1_000_000
    ),
    fhir_rows: Annotated[
        int, typer.Option(min=20_000, help="The same for FHIR, whose every resource is validated.")
    ] = (100_000),
    max_others_pct: MaxOthers = MAX_OTHERS_PCT,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Peak resident memory and rows per second of ``edge-agent-collector export`` from SQLite, as a process of its own.

    Memory must not grow with the database: ten times the rows, the same peak.
    """
    findings = Findings(
        "export",
        COLUMNS,
        notes=[f"SQLite; readings drawn by lot, {FIELDS_COUNT} per slide; peak: of the whole process, by the kernel"],
    )
    with (
        reported(findings, as_json=as_json, out=out, max_others_pct=max_others_pct),
        tempfile.TemporaryDirectory(prefix="leukoscope-export-") as name,
    ):
        folder = Path(name)
        for kind, largest in (("csv", rows), ("parquet", rows), ("fhir", fhir_rows)):
            peaks = []
            for count in (largest // 10, largest):
                config = database_of(folder, count)
                run = measure(config, kind, folder / "exported")
                peaks.append(run.peak_mb)
                findings.rows.append(
                    {
                        "format": kind,
                        "rows_count": count,
                        "peak_mb": round(run.peak_mb, 1),
                        "wall_s": round(run.wall_s, 1),
                        "rows_per_s": round(count / run.wall_s),
                        "file_mb": round(run.file_mb, 1),
                    }
                )
            growth = ratio(peaks[1], peaks[0])
            findings.goals.append(Goal(f"{kind}: peak with ten times the rows", 1.25, at_most=True, measured=growth))
        findings.draw = _draw(findings.rows)


# The kernel's account of a child starts with the memory of the process that forked it, so that must be small.
_LAUNCHER = (
    "import resource, subprocess, sys; "
    "subprocess.run(sys.argv[1:], check=True, stdin=subprocess.DEVNULL); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


@dataclass(frozen=True, slots=True)
class Run:
    """One export."""

    wall_s: float
    peak_mb: float
    file_mb: float


def measure(config: Path, kind: str, target: Path) -> Run:
    """Export everything to ``target``, then remove it."""
    command = [sys.executable, "-m", "edge_agent.collector", "export", "--config", str(config), "--format", kind]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _LAUNCHER, *command, "--out", str(target)], check=True, capture_output=True, text=True
    )
    wall_s = time.perf_counter() - began
    peak_mb = int(done.stdout) * 1024 / 1e6
    files = [target] if target.is_file() else list(target.iterdir())
    size = sum(file.stat().st_size for file in files)
    for file in files:
        file.unlink()
    return Run(wall_s, peak_mb, size / 1e6)


def database_of(folder: Path, count: int) -> Path:
    """The configuration of a database with this many readings, which is made if it does not exist."""
    config, file = folder / f"{count}.toml", folder / f"{count}.db"
    if config.exists():
        return config
    engine = open_database(DatabaseSettings(url=f"sqlite:///{file}"))
    migrate(engine)
    seed = [
        make_entry(
            make_result(
                number,
                captured_at=NOW + timedelta(seconds=number),
                specimen=SpecimenField(
                    id="S-0000-A", slide=1 + number // FIELDS_COUNT, field=1 + number % FIELDS_COUNT
                ),
                demonstration=False,
            )
        )
        for number in range(SEEDED_COUNT)
    ]
    Writer(engine, unreadable_count=1).write(seed)
    _multiply(engine, count // SEEDED_COUNT)
    engine.dispose()
    config.write_text(f'[database]\nurl = "sqlite:///{file}"\n')
    return config


def _multiply(engine: Engine, times: int) -> None:
    changed = {
        "id": "lower(hex(randomblob(16)))",
        "captured_at": f"strftime('%Y-%m-%d %H:%M:%f000', captured_at, (:n * {SEEDED_COUNT}) || ' seconds')",
        "specimen": "printf('S-%04d-A', :n)",
        # No export reads this part, and it is nine tenths of a database.
        "payload": "'{}'",
    }
    names = [column.name for column in results.c]
    values = ", ".join(changed.get(name, name) for name in names)
    columns = ", ".join(names)
    copy = f"INSERT INTO results ({columns}) SELECT {values} FROM results WHERE specimen = 'S-0000-A'"  # noqa: S608 - our own names
    with engine.begin() as connection:
        for number in range(1, times):
            connection.execute(text(copy), {"n": number})


def _draw(rows: list[dict[str, Any]]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        labels = [f"{row['format']}\n{row['rows_count']:,}" for row in rows]
        bars = axes.bar(labels, [row["peak_mb"] for row in rows])
        axes.bar_label(bars, fmt="%.0f")
        axes.set_ylabel("peak resident megabytes")
        axes.set_xlabel("format and rows")

    return draw
