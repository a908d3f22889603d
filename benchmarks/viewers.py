"""Measures whether viewers of the moving picture slow the analysis down: latency of readings with and without them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from benchmarks.agent_run import ENVIRONMENT, PATIENCE_S, configuration, surroundings
from benchmarks.app import app
from benchmarks.latency import JPEG_QUALITY
from benchmarks.machine import MAX_OTHERS_PCT
from benchmarks.report import AsJson, Findings, Goal, MaxOthers, Out, ratio, reported
from edge_agent.agent import Agent, PageDevice
from edge_agent.analysis.reading import Reading
from edge_agent.cameras import Encoded, Frame
from edge_agent.cameras.frame import frame_now
from edge_agent.cli.local_broker import free_port
from edge_agent.config import Config
from edge_agent.contracts import Result
from edge_agent.errors import CameraLost

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VIEWERS = 5
SETTLE_S = 1.0
"""Time after viewers came or left until readings count."""
NICENESS = 19
"""Niceness of the viewers: on a device they are other machines."""
STEPS = (50, 90, 95, 99)

COLUMNS = {
    "viewers_count": "viewers",
    "readings_count": "readings",
    "pictures_hz": "pictures per second and viewer",
    "median_ms": "median (ms)",
    "p99_ms": "p99 (ms)",
    "median_to_none_ratio": "median, x none",
    "p99_to_none_ratio": "p99, x none",
}


@dataclass(frozen=True, slots=True)
class Run:
    """The parameters of a run."""

    frames: str
    """Folder of JPEGs, which a camera shows in turn."""
    port: int
    version: str
    frame_rate_hz: float
    block_s: float
    blocks: int
    """Number of blocks with viewers, and of blocks without."""
    width_px: int


class ReplayCamera:
    """A live camera that shows the JPEGs of a folder in turn, as a USB camera does."""

    id = "camera0"
    live = True

    def __init__(self, folder: Path, frame_rate_hz: float) -> None:
        self._pictures = [Encoded(path.read_bytes()) for path in sorted(folder.iterdir())]
        self._interval_s = 1 / frame_rate_hz
        self._closed = threading.Event()
        self._count = 0
        self._due_s = 0.0

    def open(self) -> None:
        """Start the clock."""
        self._due_s = time.monotonic()

    def read(self) -> Frame:
        """The next frame when it is due. Raises ``CameraLost`` once closed."""
        if self._closed.wait(max(0.0, self._due_s - time.monotonic())):
            raise CameraLost("The camera was closed.")
        self._due_s = max(time.monotonic(), self._due_s + self._interval_s)
        self._count += 1
        return frame_now(self.id, self._pictures[self._count % len(self._pictures)])

    def close(self) -> None:
        """End a waiting ``read``."""
        self._closed.set()


@app.command("viewers")
def viewers(
    block_s: Annotated[float, typer.Option(min=1, help="Seconds of each block.")] = 10.0,
    blocks: Annotated[int, typer.Option(min=1, help="Blocks of each kind, in turn.")] = 6,
    frame_rate_hz: Annotated[float, typer.Option(min=1, help="Frames a second; every one is read.")] = 20.0,
    width_px: Annotated[int, typer.Option(min=16, max=1280, help="Width of the viewers' picture; the page's.")] = 960,
    max_others_pct: MaxOthers = MAX_OTHERS_PCT,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Latency of readings of a 1280x960 MJPEG camera while nobody and while five look at the moving picture."""
    findings = Findings("viewers", COLUMNS)
    with (
        reported(findings, as_json=as_json, out=out, max_others_pct=max_others_pct),
        surroundings(JPEG_QUALITY) as (frames, port, version),
    ):
        what = Run(str(frames), port, version, frame_rate_hz, block_s, blocks, width_px)
        command = [sys.executable, "-m", "benchmarks.viewers", "agent", json.dumps(asdict(what))]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, timeout=PATIENCE_S, env=ENVIRONMENT
        )
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        latencies = {int(count): np.array(values) for count, values in found["latencies_ms"].items()}
        none = latencies[0]
        findings.rows = [
            {
                "viewers_count": count,
                "readings_count": len(values),
                "pictures_hz": round(found["pictures_hz"], 1) if count else None,
                **{f"p{step}_ms": round(float(np.percentile(values, step)), 3) for step in STEPS},
                "median_ms": round(float(np.median(values)), 3),
                "median_to_none_ratio": ratio(float(np.median(values)), float(np.median(none))),
                "p99_to_none_ratio": ratio(float(np.percentile(values, 99)), float(np.percentile(none, 99))),
            }
            for count, values in latencies.items()
        ]
        findings.goals = [
            Goal(
                "p99 with five viewers, times none", 1.1, at_most=True, measured=findings.rows[-1]["p99_to_none_ratio"]
            )
        ]
        findings.draw = _draw(latencies)


def _draw(latencies: dict[int, Any]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        for count, values in latencies.items():
            axes.plot(np.sort(values), np.linspace(0, 100, len(values)), label=f"{count} viewers")
        axes.set_xlabel("latency of a reading (ms)")
        axes.set_ylabel("readings that took no longer (%)")
        axes.legend()

    return draw


def _agent(what: Run) -> dict[str, Any]:
    """Run the agent and the page's server, with blocks of readings with and without viewers."""
    from edge_agent.web.server import MicroscopePage  # noqa: PLC0415 - an extra
    from edge_agent.web.settings import WebSettings  # noqa: PLC0415 - an extra, loaded by this measurement alone

    block: list[float] = []
    page = MicroscopePage(WebSettings(enabled=True, port=free_port()))

    def on_result(result: Result, reading: Reading) -> None:
        page.update(result, reading)
        block.append(result.latency_ms["total"])

    latencies: dict[int, list[float]] = {0: [], VIEWERS: []}
    pictures_count = 0
    with tempfile.TemporaryDirectory(prefix="leukoscope-benchmark-") as state:
        settings = configuration(what.frames, what.port, what.version, state, bundle="accurate", threads=1)
        agent = Agent(
            Config.model_validate(settings),
            camera=lambda: ReplayCamera(Path(what.frames), what.frame_rate_hz),
            on_result=on_result,
        )
        agent.start()
        page.start(PageDevice(agent))
        try:
            with _viewers(f"{page.address.replace('http:', 'ws:')}live", what.width_px) as switch:
                time.sleep(2 * SETTLE_S)
                for number in range(2 * what.blocks):
                    looking = number % 2 == 1
                    if looking:
                        switch(looking)
                    time.sleep(SETTLE_S)
                    block.clear()
                    time.sleep(what.block_s)
                    latencies[VIEWERS if looking else 0] += block
                    if looking:
                        pictures_count += switch(not looking)
        finally:
            page.stop()
            agent.stop()
    seconds = what.blocks * (what.block_s + SETTLE_S)
    return {"latencies_ms": latencies, "pictures_hz": pictures_count / VIEWERS / seconds}


@contextmanager
def _viewers(address: str, width_px: int) -> Iterator[Callable[[bool], int]]:
    """Start a process of viewers. The function starts or stops their viewing, and returns how many pictures came."""
    command = [sys.executable, "-m", "benchmarks.viewers", "viewers", address, str(width_px)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None  # noqa: S101 - pipes were asked for
        assert process.stdout is not None  # noqa: S101 - for mypy: it is a pipe
        to_process, from_process = process.stdin, process.stdout

        def switch(looking: bool) -> int:  # noqa: FBT001 - on or off
            to_process.write("look\n" if looking else "leave\n")
            to_process.flush()
            return int(from_process.readline())

        try:
            yield switch
        finally:
            to_process.close()


def _look(address: str, width_px: int) -> None:
    """Start and stop viewing as told on standard input, until its end."""
    os.nice(NICENESS)
    request = json.dumps({"next": True, "max_width_px": width_px})
    leaving: list[Callable[[], int]] = []
    for line in sys.stdin:
        if line.strip() == "look":
            leaving = [_viewer(address, request) for _ in range(VIEWERS)]
            sys.stdout.write("0\n")
        else:
            sys.stdout.write(f"{sum(leave() for leave in leaving)}\n")
        sys.stdout.flush()


def _viewer(address: str, request: str) -> Callable[[], int]:
    """Connect one viewer; the returned function disconnects it, and returns how many pictures it got."""
    from websockets.exceptions import ConnectionClosed  # noqa: PLC0415 - an extra
    from websockets.sync.client import connect  # noqa: PLC0415 - an extra, loaded by this measurement alone
    from websockets.typing import Origin  # noqa: PLC0415 - an extra, loaded by this measurement alone

    origin = Origin(address.replace("ws:", "http:").removesuffix("/live"))
    socket = connect(address, origin=origin, compression=None, max_size=None)
    count = 0

    def watch() -> None:
        nonlocal count
        try:
            while True:
                socket.send(request)
                while not isinstance(socket.recv(), bytes):
                    pass
                count += 1
        except ConnectionClosed:
            return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()

    def leave() -> int:
        socket.close()
        thread.join()
        return count

    return leave


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["agent", run]:
            sys.stdout.write("\n" + json.dumps(_agent(Run(**json.loads(run)))) + "\n")
        case ["viewers", address, width]:
            _look(address, int(width))
