"""A wall clock that jumps must not make the agent lose or reorder results, or report a wrong age."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

from edge_agent.cli.local_broker import free_port, run_mosquitto
from tests.agents import configuration, running
from tests.faults.proxy import BadProxy, bad_proxy
from tests.mqtt import PATIENCE_S, Subscriber


def test_results_survive_a_clock_set_back_two_weeks_and_forward_an_hour(tmp_path: Path, mosquitto: str) -> None:
    port = free_port()
    # The subscriber has to be there before the backlog arrives.
    with bad_proxy(port) as proxy:
        proxy.stall()
        _jump(tmp_path, mosquitto, port, proxy)


def _jump(tmp_path: Path, mosquitto: str, port: int, proxy: BadProxy) -> None:
    config = configuration(
        proxy.port,
        state={"folder": str(tmp_path / "state")},
        trigger={"mode": "continuous", "interval_s": 0.02},
        # Two weeks back and an hour forward are far more than this.
        spool={"max_age_days": 0.01},
    )
    read = threading.Semaphore(0)
    with running(config, on_result=lambda _result, _reading: read.release()) as agent:
        for jump in (timedelta(), timedelta(days=-14), timedelta(hours=1)):
            with time_machine.travel(datetime.now(UTC) + jump, tick=True):
                assert all(read.acquire(timeout=PATIENCE_S) for _ in range(10))
        # Messages that are not committed when the connection is made are no backlog.
        assert agent.spool.flush(PATIENCE_S)
        with run_mosquitto(mosquitto, port):
            watcher = Subscriber(port)
            proxy.flow()
            numbers: list[int] = []
            clocks: list[int] = []
            while len(numbers) < 30:
                result = watcher.next("result").body()
                if result.replayed:
                    numbers.append(result.seq)
                    clocks.append(result.clock.monotonic_ns)
            watcher.close()
        assert agent.spool.flush(PATIENCE_S)
        assert agent.spool.stats().dropped_count == 0
    assert numbers == list(range(30))
    # This clock shows the order, whatever the wall clock says.
    assert clocks == sorted(clocks)
