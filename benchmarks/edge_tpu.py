"""Measures the cost of running a model in another process, as for the Edge TPU's library."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.app import app
from benchmarks.machine import MAX_OTHERS_PCT
from benchmarks.report import AsJson, Findings, Goal, MaxOthers, Out, reported
from edge_agent.inference import load_bundle
from edge_agent.inference.bundle import MODEL
from edge_agent.inference.edgetpu.process import EdgeTpuProcess
from edge_agent.inference.runtime import Runtime

BUNDLES = ("accurate", "fast")
MAX_HOP_MS = 0.5

COLUMNS = {
    "bundle": "bundle",
    "pictures_count": "pictures",
    "here_p50_ms": "in this process, p50 ms",
    "there_p50_ms": "in the other, p50 ms",
    "hop_p50_ms": "difference, p50 ms",
    "hop_p95_ms": "p95",
    "start_ms": "start ms",
    "private_mb": "memory of its own MB",
}


@app.command("edge-tpu")
def edge_tpu(
    pictures: Annotated[int, typer.Option(min=10, help="Pictures of each bundle.")] = 500,
    max_others_pct: MaxOthers = MAX_OTHERS_PCT,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """The way of a picture to the process of an Edge TPU and back, measured with the same model on the processor."""
    findings = Findings("edge-tpu", COLUMNS)
    findings.notes.append("The other process runs the bundle's own model on the processor: no Edge TPU is involved.")
    with reported(findings, as_json=as_json, out=out, max_others_pct=max_others_pct):
        findings.rows = [_measure(name, pictures) for name in BUNDLES]
        findings.goals = [
            Goal(f"{row['bundle']}: hop, p50 ms", MAX_HOP_MS, at_most=True, measured=row["hop_p50_ms"], is_ratio=False)
            for row in findings.rows
        ]


def _measure(name: str, pictures_count: int) -> dict[str, Any]:
    content = load_bundle(name).contents[MODEL]
    here = Runtime(content)
    rng = np.random.default_rng(1)
    began = time.perf_counter()
    there = EdgeTpuProcess(content, None, here.input, here.outputs, deadline_s=30.0)
    try:
        there.wait_until_ready()
        start_ms = (time.perf_counter() - began) * 1e3
        times_ms = []
        for _ in range(pictures_count):
            # Alternating, so that both meet the same machine.
            picture = rng.integers(-128, 128, here.input.shape[1:], dtype=np.int8)
            first = time.perf_counter()
            here.answer(picture)
            second = time.perf_counter()
            there.answer(picture)
            times_ms.append(((second - first) * 1e3, (time.perf_counter() - second) * 1e3))
        private_mb = _private_kb(there.pid) / 1024
    finally:
        there.kill()
        there.release(10.0)
    in_process, other = np.array(times_ms).T
    return {
        "bundle": name,
        "pictures_count": pictures_count,
        "here_p50_ms": round(float(np.median(in_process)), 3),
        "there_p50_ms": round(float(np.median(other)), 3),
        "hop_p50_ms": round(float(np.median(other - in_process)), 3),
        "hop_p95_ms": round(float(np.percentile(other - in_process, 95)), 3),
        "start_ms": round(start_ms),
        "private_mb": round(private_mb, 1),
    }


def _private_kb(pid: int) -> int:
    """Memory that would be free if the process ended: the part that it shares with no other process."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(int(kb) for kb in re.findall(r"^Private_\w+:\s+(\d+) kB", rollup, re.MULTILINE))
