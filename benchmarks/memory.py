"""Resident memory of the agent as it works, and how long it takes to begin."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.agent_run import ENVIRONMENT, PATIENCE_S, Run, configuration, run, surroundings
from benchmarks.app import app
from benchmarks.latency import BUNDLES, JPEG_QUALITY
from benchmarks.machine import MAX_OTHERS_PCT
from benchmarks.report import Absent, AsJson, Findings, Goal, MaxOthers, Out, reported
from edge_agent.local_broker import LOOPBACK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = {
    "bundle": "bundle",
    "resident_start_mb": "MB at start",
    "resident_early_mb": "MB early",
    "resident_late_mb": "MB late",
    "import_s": "import s",
    "first_result_s": "start to first result s",
}


@app.command("memory")
def memory(
    early: Annotated[int, typer.Option(min=1, help="Readings after which memory is noted first.")] = 1000,
    late: Annotated[int, typer.Option(min=2, help="And a second time.")] = 10_000,
    starts: Annotated[int, typer.Option(min=1, help="Times that the agent is started.")] = 5,
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
            marks = (early, late)
            found = run(Run(bundle, str(frames), port, version, late, 1, _cores(), marks))
            firsts = [_first_result_s(bundle, str(frames), port, version) for _ in range(starts)]
            came = [seconds for seconds in firsts if seconds is not None]
            if len(came) < starts:
                findings.absent.append(Absent(f"{bundle}, start to first result", "no result came"))
            findings.rows.append(
                {
                    "bundle": bundle,
                    "resident_start_mb": found["resident_start_mb"],
                    "resident_early_mb": found[f"resident_{early}_mb"],
                    "resident_late_mb": found[f"resident_{late}_mb"],
                    "import_s": round(import_s, 3),
                    "first_result_s": round(float(np.median(came)), 3) if came else None,
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
                measured=round(accurate["resident_late_mb"] / accurate["resident_early_mb"], 3),
            ),
        ]
        findings.draw = _draw(findings.rows)


def _cores() -> int:
    """All of them."""
    return 10_000


def _import_s() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import edge_agent.agent"], check=True)
    return time.perf_counter() - began


def _first_result_s(bundle: str, frames: str, port: int, version: str) -> float | None:
    """From the start of ``edge-agent run`` to the arrival of its first result at a subscriber; None if none comes."""
    arrived = threading.Event()
    subscribed = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda *_: arrived.set()
    client.connect(LOOPBACK, port)
    client.subscribe("leukoscope/v1/benchmark/+/result/+")
    client.loop_start()
    try:
        if not subscribed.wait(PATIENCE_S):
            return None
        with tempfile.TemporaryDirectory(prefix="leukoscope-benchmark-") as state:
            file = Path(state, "agent.toml")
            file.write_text(_as_toml(configuration(frames, port, version, state, bundle=bundle, threads=1)))
            began = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-c", "from edge_agent.cli import main; main()", "run", "--config", str(file)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT,
            )
            try:
                came = arrived.wait(60)
                elapsed_s = time.perf_counter() - began
            finally:
                process.terminate()
                process.wait(30)
            return elapsed_s if came else None
    finally:
        client.disconnect()
        client.loop_stop()


def _as_toml(sections: dict[str, Any]) -> str:
    """Strings, numbers and truths are written alike in JSON and TOML."""
    return "\n".join(
        f"[{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in section.items())
        for name, section in sections.items()
    )


def _draw(rows: list[dict[str, Any]]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        moments = ("resident_start_mb", "resident_early_mb", "resident_late_mb")
        for number, row in enumerate(rows):
            places = np.arange(len(moments)) + 0.4 * number
            bars = axes.bar(places, [row[moment] for moment in moments], width=0.38, label=row["bundle"])
            axes.bar_label(bars, fmt="%.0f")
        axes.set_xticks(np.arange(len(moments)) + 0.2, ["at start", "early", "late"])
        axes.set_ylabel("resident megabytes")
        axes.legend()

    return draw
