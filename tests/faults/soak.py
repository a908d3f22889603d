"""An agent that works for a long time: neither its memory nor its files may grow."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from scipy import stats

from tests.faults.storm import AgentProcess, Broker, Collector

SAMPLES = 100
WARM_UP_SHARE = 0.5
"""Allocators and caches settle for tens of thousands of readings; a leak would go on after that."""
AT_ONCE = 10
"""Each frame is a file that is open for a moment: the fewest of this many samples are those that stay open."""
MAX_GROWTH_KB_PER_1000 = 1.0
"""At a reading every two seconds, this is 43 kB a day."""


@dataclass(frozen=True, slots=True)
class SoakReport:
    """Growth of resident memory over the readings after the warm-up, with its 95 % interval, and open files."""

    seconds: float
    readings_count: int
    reading_rate_hz: float
    resident_first_mb: float
    resident_last_mb: float
    growth_kb_per_1000: float
    growth_low_kb_per_1000: float
    growth_high_kb_per_1000: float
    files_first_count: int
    files_last_count: int
    resident_mb: tuple[float, ...]
    """All samples at even steps, including the warm-up."""


def soak(folder: Path, readings_count: int) -> SoakReport:
    """Run an agent until ``readings_count`` readings are delivered, and watch its process meanwhile."""
    broker = Broker(folder)
    collector = Collector(broker.port, keep=False)
    agent = AgentProcess(folder, broker.port)
    began = time.monotonic()
    samples: list[tuple[int, int, int]] = []
    try:
        agent.start(interval_s=0.0)
        if agent.process is None:
            raise RuntimeError("the agent did not start")
        process = psutil.Process(agent.process.pid)
        for number in range(1, SAMPLES + 1):
            wanted = readings_count * number // SAMPLES
            if not collector.wait_for_received("result", wanted, 600.0):
                raise RuntimeError(f"no more results come: {agent.log_tail()}")
            samples.append((collector.received["result"], process.memory_info().rss, process.num_fds()))
        seconds = time.monotonic() - began
        agent.stop()
    finally:
        if agent.process is not None and agent.process.poll() is None:
            agent.kill()
        collector.close()
        broker.stop()
    settled = samples[int(SAMPLES * WARM_UP_SHARE) :]
    # The median of the slopes of all pairs (Theil, 1950; Sen, 1968): a single step of an allocator does not move it.
    slope, _, low, high = stats.theilslopes(
        [rss / 1000 for _, rss, _ in settled], [count / 1000 for count, _, _ in settled], 0.95
    )
    return SoakReport(
        seconds=round(seconds, 1),
        readings_count=samples[-1][0],
        reading_rate_hz=round(samples[-1][0] / seconds, 1),
        resident_first_mb=round(settled[0][1] / 1e6, 2),
        resident_last_mb=round(settled[-1][1] / 1e6, 2),
        growth_kb_per_1000=round(float(slope), 3),
        growth_low_kb_per_1000=round(float(low), 3),
        growth_high_kb_per_1000=round(float(high), 3),
        files_first_count=min(files for _, _, files in settled[:AT_ONCE]),
        files_last_count=min(files for _, _, files in settled[-AT_ONCE:]),
        resident_mb=tuple(round(rss / 1e6, 2) for _, rss, _ in samples),
    )
