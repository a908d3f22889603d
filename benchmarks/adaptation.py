"""Measures how fitting a head beside the readings affects their rate and the agent's own memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any
from uuid import UUID

import numpy as np
import psutil
import typer

from benchmarks.agent_run import ENVIRONMENT, PATIENCE_S, configuration, surroundings
from benchmarks.app import app
from benchmarks.latency import JPEG_QUALITY
from benchmarks.machine import MAX_OTHERS_PCT
from benchmarks.report import AsJson, Findings, Goal, MaxOthers, Out, ratio, reported
from edge_agent.adaptation.state import FitState
from edge_agent.agent import Agent
from edge_agent.analysis.reading import Reading
from edge_agent.config import Config
from edge_agent.contracts import Result
from edge_agent.errors import EdgeAgentError

SETTLE_S = 1.0
"""Time after the start or end of a fit until readings count."""
LABELS = "benign", "pre-b"

COLUMNS = {
    "kind": "meanwhile",
    "readings_hz": "readings per second",
    "to_alone_ratio": "x alone",
    "resident_mb": "agent's memory (MB)",
    "fits_count": "fits that were finished",
}


@dataclass(frozen=True, slots=True)
class Run:
    """The parameters of a run."""

    frames: str
    """Folder of JPEGs, which are read as fast as possible."""
    port: int
    version: str
    block_s: float
    blocks: int
    """Number of blocks with a fit, and of blocks without."""
    fields: int
    """Number of labelled fields."""


@app.command("adaptation")
def adaptation(
    block_s: Annotated[float, typer.Option(min=1, help="Seconds of each block.")] = 15.0,
    blocks: Annotated[int, typer.Option(min=1, help="Blocks of each kind, in turn.")] = 4,
    fields: Annotated[int, typer.Option(min=20, help="Labelled fields that the head is fitted to.")] = 60,
    max_others_pct: MaxOthers = MAX_OTHERS_PCT,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Readings per second and memory of the agent while a head is fitted beside it, and while none is."""
    findings = Findings("adaptation", COLUMNS)
    with (
        reported(findings, as_json=as_json, out=out, max_others_pct=max_others_pct),
        surroundings(JPEG_QUALITY) as (frames, port, version),
    ):
        what = Run(str(frames), port, version, block_s, blocks, fields)
        command = [sys.executable, "-m", "benchmarks.adaptation", json.dumps(asdict(what))]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, timeout=PATIENCE_S, env=ENVIRONMENT
        )
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        rates = {kind: float(np.median(found[kind]["readings_hz"])) for kind in ("alone", "fitting")}
        memory = {kind: float(np.max(found[kind]["resident_mb"])) for kind in rates}
        findings.rows = [
            {
                "kind": kind,
                "readings_hz": round(rate, 2),
                "to_alone_ratio": ratio(rate, rates["alone"]),
                "resident_mb": round(memory[kind], 1),
                "fits_count": found["fits_count"] if kind == "fitting" else None,
            }
            for kind, rate in rates.items()
        ]
        findings.goals = [
            Goal(
                "readings while a head is fitted, times alone",
                0.8,
                at_most=False,
                measured=ratio(rates["fitting"], rates["alone"]),
            ),
            Goal(
                "agent's memory while a head is fitted, times alone",
                1.02,
                at_most=True,
                measured=ratio(memory["fitting"], memory["alone"]),
            ),
        ]


def _collect(what: Run, state: str) -> None:
    """Collect labelled fields in a stain that the model does not know, as the camera draws them."""
    truth: dict[UUID, str] = {}

    def on_result(result: Result, _reading: Reading) -> None:
        truth[result.id] = (result.source or "").split(":")[1]

    settings = _settings(what, state, keep="all") | {
        "camera": {"kind": "synthetic", "stain": "blue", "labels": LABELS, "bad_fields_ratio": 0}
        | {"frames_per_field_count": 1, "frame_rate_hz": 10},
        "trigger": {"mode": "continuous", "interval_s": 0.1},
    }
    agent = Agent(Config.model_validate(settings), on_result=on_result, max_readings=what.fields)
    agent.start()
    agent.wait(PATIENCE_S)
    agent.stop()
    for item, label in truth.items():
        try:
            agent.collection.label(item, "classes", label, by="work")
        except EdgeAgentError as error:  # the disk was too slow for this frame
            sys.stderr.write(f"{error}\n")


def _settings(what: Run, state: str, *, keep: str) -> dict[str, Any]:
    found = configuration(what.frames, what.port, what.version, state, bundle="accurate", threads=1)
    return {**found, "collection": {"keep": keep, "consent": "Drawn smears."}}


def _agent(what: Run) -> dict[str, Any]:
    """Run the agent, with blocks of readings with and without a fit beside them."""
    found: dict[str, Any] = {kind: {"readings_hz": [], "resident_mb": []} for kind in ("alone", "fitting")}
    found["fits_count"] = 0
    process = psutil.Process()
    with tempfile.TemporaryDirectory(prefix="leukoscope-benchmark-") as state:
        _collect(what, state)
        agent = Agent(Config.model_validate(_settings(what, state, keep="nothing")))
        agent.start()
        try:
            time.sleep(2 * SETTLE_S)
            for number in range(2 * what.blocks):
                kind = "fitting" if number % 2 else "alone"
                with _fitting(agent, found) if kind == "fitting" else _nothing():
                    time.sleep(SETTLE_S)
                    before, began_s = agent.counts.readings_count, time.perf_counter()
                    until_s = began_s + what.block_s
                    while time.perf_counter() < until_s:
                        # Asking takes time, too.
                        time.sleep(1)
                        if kind == "fitting":
                            _go_on(agent, found)
                    rate = (agent.counts.readings_count - before) / (time.perf_counter() - began_s)
                found[kind]["readings_hz"].append(rate)
                found[kind]["resident_mb"].append(process.memory_info().rss / 1e6)
        finally:
            agent.stop()
    return found


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _fitting(agent: Agent, found: dict[str, Any]) -> Iterator[None]:
    """Keep a fit running inside the block."""
    _go_on(agent, found)
    try:
        yield
    finally:
        if agent.adaptation.state().state is FitState.RUNNING:
            agent.adaptation.cancel()


def _go_on(agent: Agent, found: dict[str, Any]) -> None:
    """Start the next fit if none is running."""
    state = agent.adaptation.state()
    if state.state is FitState.RUNNING:
        return
    if state.error is not None:
        raise RuntimeError(f"the fit failed: {state.error.message}")
    found["fits_count"] += state.state is FitState.DONE
    agent.adaptation.fit(None, "benchmark")


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(_agent(Run(**json.loads(sys.argv[1])))) + "\n")
