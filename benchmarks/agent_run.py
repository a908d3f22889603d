"""An agent in its own process, as used by other benchmarks: ``python -m benchmarks.agent_run``.

Frames come from a folder as fast as the agent takes them; results go through the durable spool to a real broker.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from edge_agent.agent import Agent
from edge_agent.cameras.smear import SMEAR_LABELS, draw_smear
from edge_agent.cli.local_broker import free_port, local_broker
from edge_agent.config import Config

ENVIRONMENT = {**os.environ, "MALLOC_ARENA_MAX": "1"}
"""As in the systemd unit: a separate heap for each thread costs 2.5 MB and gains nothing here."""

WARM_UP = 100
PATIENCE_S = 900.0
FRAMES = 8


@dataclass(frozen=True, slots=True)
class Run:
    """The parameters of a run."""

    bundle: str
    frames: str
    """Folder of images."""
    port: int
    version: str
    readings: int
    threads: int
    cores: int
    """Number of cores that the process is pinned to."""


@contextmanager
def surroundings(jpeg_quality: int) -> Iterator[tuple[Path, int, str]]:
    """A folder of drawn 1280x960 frames, and a broker: folder, port, MQTT version."""
    with tempfile.TemporaryDirectory(prefix="leukoscope-benchmark-") as name:
        frames = Path(name)
        for number in range(FRAMES):
            rgb, _ = draw_smear(
                np.random.default_rng(number), SMEAR_LABELS[number % len(SMEAR_LABELS)], size_px=(960, 1280)
            )
            bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(frames / f"{number}.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
        port = free_port()
        with local_broker(port) as broker:
            yield frames, port, broker.version


def configuration(frames: str, port: int, version: str, state: str, *, bundle: str, threads: int) -> dict[str, object]:
    """The agent's settings: every frame is judged, as fast as possible, because rejected frames would cost less."""
    return {
        "device": {"site": "benchmark", "id": "scope-1"},
        "camera": {"kind": "folder", "path": frames, "loop": True},
        "trigger": {"mode": "continuous", "interval_s": 0},
        "analysis": {"bundle": bundle, "threads_count": threads},
        "quality": {"max_motion_pct": 100, "min_focus_score": 0, "min_coverage_pct": 0},
        "mqtt": {"port": port, "version": version},
        "state": {"folder": state},
    }


def run(what: Run) -> dict[str, float]:
    """Run the agent in a child process; readings per second after the warm-up. Raises ``CalledProcessError``."""
    command = [sys.executable, "-m", "benchmarks.agent_run", json.dumps(asdict(what))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S, env=ENVIRONMENT)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _main(what: Run) -> dict[str, float]:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: what.cores])
    times: list[float] = []

    def on_result(*_: object) -> None:
        times.append(time.perf_counter())

    with tempfile.TemporaryDirectory(prefix="leukoscope-benchmark-") as state:
        settings = configuration(what.frames, what.port, what.version, state, bundle=what.bundle, threads=what.threads)
        agent = Agent(Config.model_validate(settings), on_result=on_result, max_readings=what.readings)
        agent.start()
        agent.wait(PATIENCE_S)
        agent.stop()
    return {"readings_hz": round((len(times) - 1 - WARM_UP) / (times[-1] - times[WARM_UP]), 2)}


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(_main(Run(**json.loads(sys.argv[1])))) + "\n")
