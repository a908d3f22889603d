"""Kills a device at one point of a roll-out after another, and checks its final state."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from uuid_utils.compat import uuid7

from edge_agent.cli.local_broker import find_mosquitto, free_port, run_mosquitto
from edge_agent.contracts import ModelReported, RolloutState
from tests.faults.killing_agent import POINTS
from tests.file_server import file_server
from tests.mqtt import PATIENCE_S, Subscriber
from tests.rollouts import asks_for, make_archive, next_reported, publish_desired

ENDS = {RolloutState.ACTIVE, RolloutState.ROLLED_BACK, RolloutState.REFUSED}


@dataclass(frozen=True, slots=True)
class KilledRollout:
    """The final state of a device that was killed at these points, one after another."""

    points: tuple[str, ...]
    state: str
    code: str | None
    model: str
    """The model in use at the end, which has answered."""


def roll_out_and_kill(folder: Path, broker_port: int, points: Sequence[str]) -> KilledRollout:
    """Ask for a model, kill the device at each of the points, then let it run until the roll-out has ended.

    Raises ``RuntimeError`` if the device does not reach one of the points.
    """
    folder.mkdir(parents=True, exist_ok=True)
    archive = make_archive(folder)
    with file_server(folder) as server:
        server.serve(archive.read_bytes())
        config = _write_config(folder, broker_port, server.ca_file)
        publish_desired(broker_port, asks_for(archive, source=server.address()))
        for point in points:
            with _agent(config, point) as process:
                if process.wait(PATIENCE_S) != -signal.SIGKILL:
                    raise RuntimeError(f"it was not killed {point}: {(folder / 'agent.log').read_text()[-2000:]}")
        subscriber = Subscriber(broker_port)
        # Ids are ordered by time: those of earlier sessions are smaller.
        session = uuid7()
        try:
            with _agent(config, "") as process:
                reported = _answered(subscriber, session)
                process.terminate()
                process.wait(PATIENCE_S)
        finally:
            subscriber.close()
    code = None if reported.error is None else reported.error.code
    return KilledRollout(tuple(points), reported.state, code, reported.model.name)


def _answered(subscriber: Subscriber, after: UUID) -> ModelReported:
    """The end of the roll-out, once the reported model has answered."""
    reported = next_reported(subscriber, lambda each: each.session > after and each.state in ENDS)
    while True:
        result = subscriber.next("result").body()
        if (result.session, result.model) == (reported.session, reported.model):
            return reported


@contextmanager
def _agent(config: Path, point: str) -> Iterator[subprocess.Popen[bytes]]:
    with (config.parent / "agent.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.killing_agent", point, "run", "--config", str(config)],
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def _write_config(folder: Path, broker_port: int, ca_file: Path) -> Path:
    file = folder / "agent.toml"
    file.write_text(
        f'[device]\nsite = "clinic"\nid = "scope-1"\n[camera]\nkind = "synthetic"\n[trigger]\nmode = "continuous"\n'
        f'interval_s = 0.1\n[analysis]\nbundle = "demo"\n[mqtt]\nport = {broker_port}\nreconnect_max_s = 1\n'
        f'[models]\nunsigned = "always"\n[rollout]\nca_file = "{ca_file}"\nretry_s = 1\nfast_enough_ms = 10000\n'
        f'[state]\nfolder = "{folder / "state"}"\n'
    )
    return file


@dataclass(frozen=True, slots=True)
class KillsReport:
    """The printed figures. ``wrong`` must be empty."""

    points_count: int
    ends: dict[str, str]
    wrong: tuple[str, ...]


ON_TRIAL = ("when it is in use", "active")
"""Points after which the model counts as having crashed the agent."""


def kill_everywhere(folder: Path) -> KillsReport:
    """A roll-out for each point, with one kill at that point."""
    program = find_mosquitto()
    if program is None:
        raise RuntimeError("mosquitto is not installed")
    ends: dict[str, str] = {}
    wrong: list[str] = []
    for number, point in enumerate(POINTS):
        port = free_port()
        with run_mosquitto(program, port):
            found = roll_out_and_kill(folder / str(number), port, [point])
        ends[point] = f"{found.state}, {found.model} answers"
        if (found.state, found.model) != (("rolled_back", "demo") if point in ON_TRIAL else ("active", "site")):
            wrong.append(point)
    return KillsReport(len(POINTS), ends, tuple(wrong))
