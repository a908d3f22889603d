"""Resident memory of the agent, and how long it takes to start."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import psutil
import typer
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.agent_run import ENVIRONMENT, configuration, surroundings
from benchmarks.app import app
from benchmarks.latency import BUNDLES, JPEG_QUALITY
from benchmarks.machine import MAX_OTHERS_PCT
from benchmarks.report import Absent, AsJson, Findings, Goal, MaxOthers, Out, ratio, reported
from edge_agent.cli.local_broker import LOOPBACK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PATIENCE_S = 60.0

COLUMNS = {
    "bundle": "bundle",
    "resident_start_mb": "MB at first result",
    "resident_early_mb": "MB early",
    "resident_late_mb": "MB late",
    "import_s": "import s",
    "first_result_s": "start to first result s",
}


@app.command("memory")
def memory(
    early: Annotated[int, typer.Option(min=1, help="Readings before the first measurement of memory.")] = 1000,
    late: Annotated[int, typer.Option(min=2, help="Readings before the second measurement.")] = 10_000,
    starts: Annotated[int, typer.Option(min=1, help="How often the agent is started.")] = 5,
    max_others_pct: MaxOthers = MAX_OTHERS_PCT,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Resident memory, import time, and from the start of the process to the first published result.

    The process is new each time; its files may still be in the kernel's cache.
    """
    findings = Findings("memory", COLUMNS, notes=[f"early: after {early} readings; late: after {late}"])
    with (
        reported(findings, as_json=as_json, out=out, max_others_pct=max_others_pct),
        surroundings(JPEG_QUALITY) as (frames, port, version),
    ):
        import_s = float(np.median([_import_s() for _ in range(starts)]))
        for bundle in BUNDLES:
            runs = [watch(bundle, str(frames), port, version, ()) for _ in range(starts - 1)]
            runs.append(watch(bundle, str(frames), port, version, (1, early, late)))
            marks = runs[-1].resident_mb
            if len(marks) < 3:
                findings.absent.append(Absent(f"{bundle}, memory", "the agent ended, or delivered no more results"))
            firsts = [run.first_result_s for run in runs if run.first_result_s is not None]
            findings.rows.append(
                {
                    "bundle": bundle,
                    "resident_start_mb": marks.get(1),
                    "resident_early_mb": marks.get(early),
                    "resident_late_mb": marks.get(late),
                    "import_s": round(import_s, 3),
                    "first_result_s": round(float(np.median(firsts)), 3) if firsts else None,
                }
            )
        accurate = findings.rows[0]
        findings.goals = [
            Goal("resident memory, MB", 120.0, at_most=True, measured=accurate["resident_late_mb"], is_ratio=False),
            Goal("start to first result, s", 2.0, at_most=True, measured=accurate["first_result_s"], is_ratio=False),
            Goal(
                "memory late, times early",
                1.05,
                at_most=True,
                measured=ratio(accurate["resident_late_mb"], accurate["resident_early_mb"]),
            ),
        ]
        findings.draw = _draw(findings.rows)


def _import_s() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import edge_agent.agent.agent"], check=True)
    return time.perf_counter() - began


@dataclass(slots=True)
class Watched:
    """A run of ``edge-agent run``, as seen by a subscriber and the kernel."""

    first_result_s: float | None = None
    """From the start of the process to the arrival of its first result."""
    resident_mb: dict[int, float] = field(default_factory=dict)
    """Resident memory by number of readings."""


def watch(bundle: str, frames: str, port: int, version: str, marks: tuple[int, ...]) -> Watched:
    """Run the command as the service does, until the last of ``marks`` or the first result."""
    watched = Watched()
    results: queue.SimpleQueue[int] = queue.SimpleQueue()
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: results.put(json.loads(message.payload)["seq"])
    client.connect(LOOPBACK, port)
    client.subscribe("leukoscope/v1/benchmark/+/result/+")
    client.loop_start()
    with tempfile.TemporaryDirectory(prefix="leukoscope-benchmark-") as state:
        file = Path(state, "agent.toml")
        file.write_text(_as_toml(configuration(frames, port, version, state, bundle=bundle, threads=1)))
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", "from edge_agent.cli.app import main; main()", "run", "--config", str(file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
        )
        memory = psutil.Process(process.pid)
        try:
            # A missing result ends the wait, and the row says what is missing.
            with contextlib.suppress(queue.Empty):
                results.get(timeout=PATIENCE_S)
                watched.first_result_s = time.perf_counter() - began
                count = 1
                for mark in marks:
                    while count < mark:
                        results.get(timeout=PATIENCE_S)
                        count += 1
                    watched.resident_mb[mark] = round(memory.memory_info().rss / 1e6, 1)
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
            client.disconnect()
            client.loop_stop()
    return watched


def _as_toml(sections: dict[str, Any]) -> str:
    """Strings, numbers and booleans are the same in JSON and TOML."""
    return "\n".join(
        f"[{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in section.items())
        for name, section in sections.items()
    )


def _draw(rows: list[dict[str, Any]]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        moments = ("resident_start_mb", "resident_early_mb", "resident_late_mb")
        for number, row in enumerate(rows):
            places = np.arange(len(moments)) + 0.4 * number
            bars = axes.bar(places, [row[moment] or 0 for moment in moments], width=0.38, label=row["bundle"])
            axes.bar_label(bars, fmt="%.0f")
        axes.set_xticks(np.arange(len(moments)) + 0.2, ["first result", "early", "late"])
        axes.set_ylabel("resident megabytes")
        axes.legend()

    return draw
