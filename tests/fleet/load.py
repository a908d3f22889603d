"""Runs a fleet while its brokers fail: accepted messages, delivered messages, and costs."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil

from tests.fleet.receiver import REPORTED

AGENTS = "edge_agent.testing.simulated_device"
RECEIVER = "tests.fleet.receiver"

WARM_UP_S = 10.0
"""Time for the devices to connect one after the other."""
SETTLE_S = 45.0
PATIENCE_S = 60.0

Wrap = Callable[[int, Sequence[str]], list[str]]
"""Makes a command line for the broker's network.

Takes the number of the agents' process, or -1 for the receiver, and its own command line."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The number and kind of the devices, and the broker to which they connect."""

    devices_count: int
    processes_count: int
    rate_hz: float
    results_count: int
    """Results of each device."""
    state: Path | None
    """Folder of the durable spools; None for spools in memory."""
    broker: str
    """HOST:PORT for the agents."""
    mqtt: Mapping[str, object]
    """Settings of ``[mqtt]``."""
    receiver: Sequence[str]
    """Arguments of ``tests.fleet.receiver``: port, topic filter, seconds without a message at the end, addresses."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is done to the broker while the fleet works."""

    name: str
    after_s: float
    """Seconds since the agents were started."""
    lasts_s: float
    begin: Callable[[], None]
    end: Callable[[], None]
    after_results: int = 0
    """The fault begins no sooner than this many results, in hundreds, have been received."""
    collector_away_s: float = 0.0
    """The receiver is stopped from the start of the fault until this long after its end: the devices are back first."""


@dataclass(slots=True)
class Outcome:
    """The figures of a run. Latency is from the time at which a reading was taken to its receipt, by one clock."""

    results_count: int = 0
    accepted_count: int = 0
    delivered_count: int = 0
    lost_count: int = 0
    left_count: int = 0
    """Results that were accepted and are still in a spool at the end."""
    refused_count: int = 0
    duplicates_count: int = 0
    receiver_connections_count: int = 0
    duration_s: float = 0.0
    """Time from the first reading to the last."""
    drained_s: float = 0.0
    """Time from the last reading to the last receipt."""
    reached_hz: float = 0.0
    """Readings per second of the whole fleet."""
    latency_steady_ms: dict[str, float] = field(default_factory=dict)
    """Latency of readings before the first fault and well after the last."""
    latency_all_ms: dict[str, float] = field(default_factory=dict)
    broker_cpu_s: float = 0.0
    broker_peak_mib: float = 0.0
    """Resident memory of all the broker's processes together."""
    agents_cpu_s: float = 0.0
    receiver_cpu_s: float = 0.0
    faults: list[dict[str, Any]] = field(default_factory=list)


class Costs:
    """Processor time and memory of processes that may be killed and started again meanwhile."""

    def __init__(self, pids: Callable[[], Sequence[int]]) -> None:
        self._pids = pids
        self._seen_s: dict[tuple[int, float], float] = {}
        self.peak_bytes = 0
        self._before_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def cpu_s(self) -> float:
        """Processor time so far, without the last fifth of a second of a killed process."""
        return sum(self._seen_s.values())

    def __enter__(self) -> Self:
        self._look()
        self._before_s = self.cpu_s
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    @property
    def spent_s(self) -> float:
        """Processor time since the watch began."""
        return self.cpu_s - self._before_s

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            self._look()

    def _look(self) -> None:
        resident = 0
        for pid in self._pids():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                times = process.cpu_times()
                self._seen_s[pid, process.create_time()] = times.user + times.system
                resident += process.memory_info().rss
        self.peak_bytes = max(self.peak_bytes, resident)


def run(
    fleet: Fleet,
    wrap: Wrap,
    broker_pids: Callable[[], Sequence[int]],
    faults: Sequence[Fault] = (),
    *,
    patience_s: float,
) -> Outcome:
    """Run the fleet to its end. Raises ``subprocess.TimeoutExpired`` after ``patience_s``."""
    with ExitStack() as closing:
        scratch = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="leukoscope-fleet-")))
        receiver = closing.enter_context(_process(wrap(-1, _python(RECEIVER, *fleet.receiver)), scratch / "receiver"))
        _wait_for(scratch / "receiver", b"subscribed\n", receiver)
        broker = closing.enter_context(Costs(broker_pids))
        receiving = closing.enter_context(Costs(lambda: [receiver.pid]))
        agents = [
            closing.enter_context(_process(wrap(number, _agents(fleet, number)), scratch / f"agents-{number}"))
            for number in range(fleet.processes_count)
        ]
        clients = closing.enter_context(Costs(lambda: [process.pid for process in agents]))
        windows = _cause(faults, agents, receiver, scratch / "receiver", patience_s)
        receiver.terminate()
        receiver.wait(patience_s)
        summaries = [
            json.loads(line)
            for number in range(fleet.processes_count)
            for line in (scratch / f"agents-{number}").read_text().splitlines()
        ]
        received = json.loads((scratch / "receiver").read_text().splitlines()[-1])
    if len(summaries) != fleet.devices_count:
        raise RuntimeError(f"only {len(summaries)} of {fleet.devices_count} devices ended in order")
    outcome = judge(summaries, received, windows)
    outcome.broker_cpu_s, outcome.broker_peak_mib = round(broker.spent_s, 2), round(broker.peak_bytes / 2**20, 1)
    outcome.agents_cpu_s, outcome.receiver_cpu_s = round(clients.cpu_s, 2), round(receiving.spent_s, 2)
    return outcome


def judge(
    summaries: Sequence[Mapping[str, Any]], received: Mapping[str, Any], windows: Sequence[Mapping[str, Any]]
) -> Outcome:
    """Compare the received results with those that the devices report as published, number by number."""
    outcome = Outcome(
        duplicates_count=received["duplicates_count"],
        receiver_connections_count=received["connections_count"],
        faults=[dict(window) for window in windows],
    )
    for summary in summaries:
        got = {number for number in received["sessions"].get(summary["session"], ()) if number <= summary["last_seq"]}
        missing_count = summary["results_count"] - len(got)
        refused_count = summary["refused_results_count"]
        left_count = min(summary["waiting_count"], missing_count - refused_count)
        outcome.results_count += summary["results_count"]
        outcome.refused_count += refused_count
        outcome.accepted_count += summary["results_count"] - refused_count
        outcome.delivered_count += len(got)
        outcome.left_count += left_count
        outcome.lost_count += missing_count - refused_count - left_count
    times: list[list[float]] = sorted(received["times"])
    if times:
        first_s, last_s = times[0][0], times[-1][0]
        outcome.duration_s = round(last_s - first_s, 1)
        outcome.drained_s = round(max(taken_s + latency_s for taken_s, latency_s in times) - last_s, 1)
        outcome.reached_hz = round(outcome.results_count / max(last_s - first_s, 1e-9), 1)
        # A device that was disconnected has sent its backlog half a minute later.
        calm = [
            latency_s
            for taken_s, latency_s in times
            if taken_s > first_s + WARM_UP_S
            and not any(window["began_s"] - 2 < taken_s < window["ended_s"] + SETTLE_S for window in windows)
        ]
        outcome.latency_steady_ms = percentiles(calm)
        outcome.latency_all_ms = percentiles([latency_s for _, latency_s in times])
        for window in outcome.faults:
            during = [
                latency_s
                for taken_s, latency_s in times
                if window["began_s"] <= taken_s <= window["ended_s"] + SETTLE_S
            ]
            window["longest_latency_s"] = round(max(during, default=0.0), 1)
    for window in outcome.faults:
        window["lasted_s"] = round(window.pop("ended_s") - window.pop("began_s"), 1)
    return outcome


def percentiles(latencies_s: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile in milliseconds; empty if there are no latencies."""
    ordered = sorted(latencies_s)
    return {f"p{share}": round(1e3 * ordered[(len(ordered) - 1) * share // 100], 1) for share in (50, 99) if ordered}


def _cause(
    faults: Sequence[Fault],
    agents: Sequence[subprocess.Popen[bytes]],
    receiver: subprocess.Popen[bytes],
    output: Path,
    patience_s: float,
) -> list[dict[str, Any]]:
    """Cause one fault after the other, and wait for the agents to end. Returns when each began and ended."""
    began = time.monotonic()
    windows = []
    for fault in faults:
        time.sleep(max(0.0, began + fault.after_s - time.monotonic()))
        _wait_for(output, b"more\n" * (fault.after_results // REPORTED), receiver)
        window: dict[str, Any] = {"fault": fault.name, "began_s": time.time()}
        fault.begin()
        if fault.collector_away_s:
            receiver.send_signal(signal.SIGSTOP)
        time.sleep(fault.lasts_s)
        fault.end()
        time.sleep(fault.collector_away_s)
        receiver.send_signal(signal.SIGCONT)
        window["ended_s"] = time.time()
        windows.append(window)
    for process in agents:
        process.wait(max(1.0, began + patience_s - time.monotonic()))
    return windows


def _agents(fleet: Fleet, number: int) -> list[str]:
    share, more = divmod(fleet.devices_count, fleet.processes_count)
    command = _python(
        AGENTS,
        *("--broker", fleet.broker),
        *("--site", f"clinic-{number + 1}"),
        *("--device", "scope"),
        *("--devices", str(share + (number < more))),
        *("--rate-hz", str(fleet.rate_hz)),
        *("--count", str(fleet.results_count)),
        *("--seed", str(number * share)),
        *("--drain-s", "120"),
    )
    if fleet.state is not None:
        command += ["--state", str(fleet.state / f"clinic-{number + 1}")]
    for name, value in fleet.mqtt.items():
        command += ["--mqtt", f"{name}={value}"]
    return command


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


@contextlib.contextmanager
def _process(command: Sequence[str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as file, output.with_suffix(".err").open("wb") as errors:
        # The process ends with this one, however that ends.
        guarded = ["setpriv", "--pdeathsig", "KILL", *command]
        process = subprocess.Popen(guarded, stdout=file, stderr=errors)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def _wait_for(output: Path, wanted: bytes, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE_S
    while wanted not in output.read_bytes():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{output.name} does not begin: {output.with_suffix('.err').read_text()[-2000:]}")
        time.sleep(0.05)
