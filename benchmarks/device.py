"""Measures a board: latency with and without an Edge TPU, and whether heat slows it down."""

from __future__ import annotations

import csv
import ctypes.util
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cv2
import numpy as np
import typer

from benchmarks.app import app
from benchmarks.latency import (
    BARE_INVOKE,
    BUNDLES,
    DECODE_AND_INVOKE,
    FIELD,
    MJPEG,
    Case,
    bundle_cases,
    thread_counts,
)
from benchmarks.machine import MAX_OTHERS_PCT, describe_machine
from benchmarks.report import Absent, AsJson, Findings, MaxOthers, Out, ratio, reported
from edge_agent.inference.edgetpu.options import LIBRARY
from edge_agent.monitoring.host import cpu_temperature_c
from edge_agent.monitoring.throttling import read_throttling

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REFERENCE = Path(__file__).parent / "reference.csv"
EDGE_TPU_LIBRARY = LIBRARY
CASES = (BARE_INVOKE, DECODE_AND_INVOKE, FIELD, MJPEG)

COLUMNS = {
    "bundle": "bundle",
    "accelerator": "accelerator",
    "case": "case",
    "threads_count": "threads",
    "readings_count": "readings",
    "p50_ms": "p50 ms",
    "p95_ms": "p95",
    "last_p50_ms": "p50 of the last tenth",
    "to_invoke_ratio": "x invoke",
    "to_decode_ratio": "x decode and invoke",
    "temperature_c": "°C at most",
    "throttling": "throttling",
}

REFERENCE_COLUMNS = (
    *("kind", "date", "board", "architecture", "cores_count", "bundle", "accelerator", "case"),
    *(
        "threads_count",
        "p50_ms",
        "p95_ms",
        "to_invoke_ratio",
        "to_decode_ratio",
        "temperature_c",
        "throttling",
        "runtime",
        "valid",
        "source",
    ),
)


@dataclass(slots=True)
class Sample:
    """The result of one case."""

    times_ms: list[float] = field(default_factory=list)
    temperatures_c: list[float] = field(default_factory=list)
    throttling: set[str] = field(default_factory=set)


@app.command("device")
def device(
    seconds: Annotated[
        float, typer.Option(min=1, help="Duration of each case; heat takes minutes to build up.")
    ] = 60.0,
    edge_tpu_model: Annotated[
        Path | None, typer.Option(help="A bundle's model as 'trainer quantize' compiled it for the Edge TPU.")
    ] = None,
    board: Annotated[
        str | None, typer.Option(help="Name of the board in the reference file. Default: as the machine says.")
    ] = None,
    append: Annotated[bool, typer.Option("--append", help="Add what was measured to the reference file.")] = False,
    reference: Annotated[Path, typer.Option(help="The reference file.")] = REFERENCE,
    max_others_pct: MaxOthers = MAX_OTHERS_PCT,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Latency on this board under steady load, with temperature and throttling alongside."""
    findings = Findings("device", COLUMNS)
    cases = [
        case for name in BUNDLES for case in bundle_cases(name, thread_counts(), findings.absent) if case.name in CASES
    ]
    cases += _edge_tpu(edge_tpu_model, findings.absent)
    samples: dict[Case, Sample] = {}
    cv2.setNumThreads(1)
    with reported(findings, as_json=as_json, out=out, max_others_pct=max_others_pct):
        for case in cases:
            samples[case] = _load(case, seconds)
        p50_ms = {case.key: float(np.median(sample.times_ms)) for case, sample in samples.items()}
        findings.rows = [_row(case, sample, p50_ms) for case, sample in samples.items()]
        findings.draw = _draw(samples)
    if append:
        append_rows(reference, findings.rows, valid=findings.valid, board=board)


def _load(case: Case, seconds: float) -> Sample:
    """Run a case without pauses, and read the board's sensors once a second."""
    sample = Sample()
    until = time.monotonic() + seconds
    next_look = 0.0
    case.call()
    while (now := time.monotonic()) < until:
        if now >= next_look:
            next_look = now + 1
            temperature = cpu_temperature_c()
            if temperature is not None:
                sample.temperatures_c.append(temperature)
            sample.throttling |= set(read_throttling() or ())
        began = time.perf_counter()
        case.call()
        sample.times_ms.append((time.perf_counter() - began) * 1e3)
    return sample


def _row(case: Case, sample: Sample, p50_ms: dict[tuple[str, str, int], float]) -> dict[str, Any]:
    p50, p95 = (float(value) for value in np.percentile(sample.times_ms, [50, 95]))
    last = sample.times_ms[-max(1, len(sample.times_ms) // 10) :]
    return {
        "bundle": case.bundle,
        "accelerator": case.accelerator,
        "case": case.name,
        "threads_count": case.threads,
        "readings_count": len(sample.times_ms),
        "p50_ms": round(p50, 3),
        "p95_ms": round(p95, 3),
        "last_p50_ms": round(float(np.median(last)), 3),
        "to_invoke_ratio": ratio(p50, p50_ms.get((case.bundle, BARE_INVOKE, case.threads))),
        "to_decode_ratio": ratio(p50, p50_ms.get((case.bundle, DECODE_AND_INVOKE, case.threads)))
        if case.name == MJPEG
        else None,
        "temperature_c": max(sample.temperatures_c, default=None),
        "throttling": " ".join(sorted(sample.throttling)) or None,
    }


def _edge_tpu(model: Path | None, absent: list[Absent]) -> list[Case]:
    """The invoke of a compiled model on an Edge TPU, if the hardware and the library are available."""
    case = "Edge TPU, bare invoke"
    if model is None:
        absent.append(Absent(case, "no compiled model: name one with --edge-tpu-model"))
        return []
    if not model.is_file():
        absent.append(Absent(case, f"there is no file {model}"))
        return []
    if ctypes.util.find_library("edgetpu") is None:
        absent.append(Absent(case, f"{EDGE_TPU_LIBRARY} is not installed"))
        return []
    try:
        from ai_edge_litert.interpreter import Interpreter, load_delegate  # noqa: PLC0415 - only this case needs it

        interpreter = Interpreter(str(model), experimental_delegates=[load_delegate(EDGE_TPU_LIBRARY)])
        interpreter.allocate_tensors()
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        absent.append(Absent(case, f"{type(error).__name__}: {error}"))
        return []

    def invoke() -> None:
        interpreter.invoke()

    return [Case(BARE_INVOKE, model.stem, 1, invoke, accelerator="Edge TPU")]


def append_rows(reference: Path, rows: list[dict[str, Any]], *, valid: bool, board: str | None = None) -> None:
    """Add measured rows to the reference file, which is created if needed."""
    machine = describe_machine()
    shared = {
        "kind": "measured",
        "date": datetime.now(UTC).date().isoformat(),
        "board": board or machine.model,
        "architecture": machine.architecture,
        "cores_count": machine.cores_count,
        "runtime": machine.versions["runtime"],
        "valid": "yes" if valid else "no",
        "source": f"python -m benchmarks device, leukoscope {machine.versions['leukoscope']}",
    }
    is_new = not reference.exists()
    with reference.open("a", newline="") as file:
        writer = csv.DictWriter(file, REFERENCE_COLUMNS, extrasaction="ignore", lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows({**row, **shared} for row in rows)


def _draw(samples: dict[Case, Sample]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        for case, sample in samples.items():
            parts = np.array_split(np.array(sample.times_ms), min(60, len(sample.times_ms)))
            axes.plot([float(np.median(part)) for part in parts], label=f"{case.bundle}: {case.name}, {case.threads}")
        axes.set_xlabel("share of the run, from start to end")
        axes.set_ylabel("milliseconds, medians")
        axes.set_ylim(0)
        axes.legend(fontsize=7)

    return draw
