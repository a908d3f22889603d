"""The command line of the benchmarks."""

from __future__ import annotations

import os

from benchmarks import (
    adaptation,
    cells,
    dashboard,
    device,
    drift,
    edge_tpu,
    evidence,
    export,
    fleet,
    fleet_sizing,
    instructions,
    kmeans,
    latency,
    memory,
    nuclei,
    quality,
    red_cells,
    site_models,
    spool,
    suite,
    throughput,
    training,
    viewers,
    vision,
)
from benchmarks.app import app

__all__ = [
    "adaptation",
    "cells",
    "dashboard",
    "device",
    "drift",
    "edge_tpu",
    "evidence",
    "export",
    "fleet",
    "fleet_sizing",
    "instructions",
    "kmeans",
    "latency",
    "memory",
    "nuclei",
    "quality",
    "red_cells",
    "site_models",
    "spool",
    "suite",
    "throughput",
    "training",
    "viewers",
    "vision",
]

if __name__ == "__main__":
    # TensorFlow's start-up notices would hide the figures.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    app()
