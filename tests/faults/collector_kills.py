"""Kills collectors, the broker and the database while results arrive, and counts the stored results at the end.

python -m tests.faults.collector_kills [--results 100000] [--kills 20] [--sqlite]
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer

from edge_agent.cli.local_broker import LOOPBACK, START_DEADLINE_S, find_mosquitto, free_port
from tests.postgres import Postgres, run_postgres

PUBLISHERS_COUNT = 2
DEVICES_COUNT = 5
"""Devices of each publisher."""
RESEND_S = 5.0
"""Longer than the time that mosquitto may lose: everything acknowledged since it last wrote its file."""

_LOOK_S = 0.1
_PATIENCE_S = 120.0
"""Longest wait without a new row."""

_SETTLED_S = 15.0

_CONFIGURATION = """
[collector]
instance = "{instance}"
group = "leukoscope-collectors"
[mqtt]
port = {port}
reconnect_max_s = 2
[database]
url = "{url}"
[log]
level = "info"
"""

_BROKER = """
listener {port} {address}
allow_anonymous true
persistence true
persistence_location {folder}/
# Whatever was acknowledged since the file was written last is lost by a kill.
autosave_interval 1
# By default messages beyond 1,000 are thrown away while a collector is gone.
max_queued_messages 0
user root
"""


@dataclass(frozen=True, slots=True)
class CollectorKillsReport:
    """The fate of numbered results."""

    database: str
    results_count: int
    rows_count: int
    doubled_count: int
    """Additional rows with the same id."""
    gaps_count: int
    """Missing numbers, over all sessions."""
    unreadable_count: int
    kills_count: dict[str, int]
    sent_again_count: int
    """Results that the publishers sent again because a killed broker may have forgotten them."""
    unheard_count: int
    """Acknowledgements without subscribers: they occur until the collectors are back after a broker's restart."""
    stored_by: dict[str, int]
    """Rows that each collector stored since its last start."""
    duration_s: float
    rows_rate_hz: float

    @property
    def is_well(self) -> bool:
        """Whether each accepted result is stored exactly once."""
        return (self.rows_count, self.doubled_count, self.gaps_count) == (self.results_count, 0, 0)


class Child:
    """A process that is killed and started again."""

    def __init__(self, name: str, command: list[str], log: Path, *, wait: Callable[[], None] = lambda: None) -> None:
        self.name, self._command, self._log, self._wait = name, command, log, wait
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)
        self._wait()

    def kill(self) -> None:
        """Send SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """Send SIGTERM; returns the exit status."""
        if self.process is None:
            return 0
        self.process.terminate()
        return self.process.wait(60)


class Stored:
    """Reads the database, also while it is being killed."""

    def __init__(self, url: str) -> None:
        self._url = url

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        if self._url.startswith("sqlite"):
            with contextlib.closing(sqlite3.connect(self._url.removeprefix("sqlite:///"), timeout=30)) as file:
                return list(file.execute(query))
        with psycopg.connect(self._url, connect_timeout=10) as connection:
            return list(connection.execute(query.encode()).fetchall())

    def count(self) -> int:
        """Number of rows; 0 while the database cannot be read."""
        try:
            return int(self.rows("SELECT count(*) FROM results")[0][0])
        except (psycopg.Error, sqlite3.Error):
            return 0


def kill_collectors(
    folder: Path,
    *,
    results_count: int,
    kills_count: int,
    postgres: Postgres | None = None,
    seed: int = 1,
    resend_s: float = RESEND_S,
    on_kill: Callable[[str, int], None] = lambda _name, _rows: None,
) -> CollectorKillsReport:
    """Kill two collectors on PostgreSQL, or one on SQLite. Raises ``RuntimeError`` if nothing arrives any more.

    With a ``resend_s`` of 0, the publishers behave as the agent does, and the report says what a killed broker has
    lost.
    """
    mosquitto = find_mosquitto()
    if mosquitto is None:
        raise RuntimeError("mosquitto is not installed")
    url = f"sqlite:///{folder / 'collected.db'}" if postgres is None else postgres.database()
    stored, port = Stored(url), free_port()
    chance = random.Random(seed)
    with ExitStack() as closing:
        broker = _broker(mosquitto, folder, port)
        closing.callback(broker.kill)
        broker.start()
        collectors = [
            _collector(folder, f"collector-{number}", port, url) for number in range(1, 2 if postgres is None else 3)
        ]
        for collector in collectors:
            closing.callback(collector.kill)
            collector.start()
        _until_subscribed(folder, collectors)
        began = time.monotonic()
        publishers = [
            closing.enter_context(_publisher(f"scope-{number}", port, results_count // PUBLISHERS_COUNT, resend_s))
            for number in range(PUBLISHERS_COUNT)
        ]
        total = results_count // PUBLISHERS_COUNT * PUBLISHERS_COUNT
        victims: dict[str, Child | Postgres] = {child.name: child for child in (*collectors, broker)}
        if postgres is not None:
            victims["postgresql"] = postgres
        killed: Counter[str] = Counter()
        order: list[str] = []
        for number in range(1, kills_count + 1):
            rows = _until(stored, total * number // (kills_count + 1))
            if not order:
                order = chance.sample(sorted(victims), len(victims))
            name = order.pop()
            victims[name].kill()
            victims[name].start()
            killed[name] += 1
            on_kill(name, rows)
        if resend_s:
            _until(stored, total)
        else:
            _until_settled(stored)
        duration_s = time.monotonic() - began
        ended = [_stop_publisher(each) for each in publishers]
        stored_by: dict[str, int] = {}
        for collector in collectors:
            # A collector that was just killed may still be loading; SIGTERM then simply ends it.
            if collector.stop() not in {0, -signal.SIGTERM}:
                raise RuntimeError(f"{collector.name} did not end cleanly, see {folder}")
        for name, count in stored.rows("SELECT instance, stored_count FROM collectors"):
            stored_by[str(name)] = count
        return _report(stored, url, total, killed, ended, stored_by, duration_s)


def _report(
    stored: Stored,
    url: str,
    total: int,
    killed: Counter[str],
    ended: list[tuple[int, int]],
    stored_by: dict[str, int],
    duration_s: float,
) -> CollectorKillsReport:
    [(rows, ids)] = stored.rows("SELECT count(*), count(DISTINCT id) FROM results")
    sessions = stored.rows("SELECT max(seq), min(seq), count(DISTINCT seq) FROM results GROUP BY session")
    each = total // (PUBLISHERS_COUNT * DEVICES_COUNT)
    gaps = sum(max(0, each - count) for _, _, count in sessions)
    gaps += each * (PUBLISHERS_COUNT * DEVICES_COUNT - len(sessions))
    [(unreadable,)] = stored.rows("SELECT count(*) FROM unreadable")
    return CollectorKillsReport(
        database=url.partition(":")[0],
        results_count=total,
        rows_count=rows,
        doubled_count=rows - ids,
        gaps_count=gaps,
        unreadable_count=unreadable,
        kills_count=dict(sorted(killed.items())),
        sent_again_count=sum(sent_again for sent_again, _ in ended),
        unheard_count=sum(unheard for _, unheard in ended),
        stored_by=stored_by,
        duration_s=round(duration_s, 1),
        rows_rate_hz=round(total / duration_s, 1),
    )


def _until(stored: Stored, count: int) -> int:
    """Wait until there are ``count`` rows; returns their number."""
    most, until = 0, time.monotonic() + _PATIENCE_S
    while True:
        rows = stored.count()
        if rows >= count:
            return rows
        if rows > most:
            most, until = rows, time.monotonic() + _PATIENCE_S
        if time.monotonic() > until:
            raise RuntimeError(f"{most} rows, and no new ones for {_PATIENCE_S:.0f} s; {count} were expected")
        time.sleep(_LOOK_S)


def _until_settled(stored: Stored) -> None:
    """Wait until no new rows arrive."""
    most, until = -1, 0.0
    while (rows := stored.count()) != most or time.monotonic() < until:
        if rows != most:
            most, until = rows, time.monotonic() + _SETTLED_S
        time.sleep(_LOOK_S)


def _until_subscribed(folder: Path, collectors: list[Child]) -> None:
    """Wait until each collector has its session at the broker; before that, nothing is kept for it."""
    until = time.monotonic() + _PATIENCE_S
    for collector in collectors:
        while "connected to" not in (folder / f"{collector.name}.log").read_text():
            if time.monotonic() > until:
                raise RuntimeError(f"{collector.name} does not connect, see {folder}")
            time.sleep(_LOOK_S)


def _broker(program: str, folder: Path, port: int) -> Child:
    configuration = folder / "mosquitto.conf"
    configuration.write_text(_BROKER.format(port=port, address=LOOPBACK, folder=folder))

    def wait() -> None:
        until = time.monotonic() + START_DEADLINE_S
        while True:
            try:
                socket.create_connection((LOOPBACK, port), timeout=1).close()
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
            else:
                return

    return Child("mosquitto", [program, "-c", str(configuration)], folder / "mosquitto.log", wait=wait)


def _collector(folder: Path, name: str, port: int, url: str) -> Child:
    configuration = folder / f"{name}.toml"
    configuration.write_text(_CONFIGURATION.format(instance=name, port=port, url=url))
    (folder / f"{name}.log").touch()
    command = [sys.executable, "-m", "edge_agent.collector", "run", "--config", str(configuration)]
    return Child(name, command, folder / f"{name}.log")


@contextlib.contextmanager
def _publisher(name: str, port: int, count: int, resend_s: float) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-m",
        "tests.faults.collector_publisher",
        str(port),
        name,
        str(DEVICES_COUNT),
        str(count),
    ]
    with subprocess.Popen(
        [*command, str(resend_s)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _stop_publisher(process: subprocess.Popen[str]) -> tuple[int, int]:
    """Numbers of results that the publisher sent again, and of those without subscribers."""
    said, _ = process.communicate("", timeout=60)
    words = said.splitlines()[-1].split() if said else ["0"] * 6
    return int(words[2]), int(words[5])


def main(
    results: Annotated[int, typer.Option(min=10, help="Results, of ten devices together.")] = 100_000,
    kills: Annotated[int, typer.Option(min=0, help="Kills of collectors, broker and database in turn.")] = 20,
    sqlite: Annotated[bool, typer.Option("--sqlite", help="SQLite and one collector.")] = False,
    seed: Annotated[int, typer.Option(help="Of the order of the kills.")] = 1,
    resend_s: Annotated[
        float, typer.Option(min=0, help="0: publish as the agent does, and see what a killed broker loses.")
    ] = RESEND_S,
    out: Annotated[Path | None, typer.Option(help="File to write the figures to, as JSON.")] = None,
) -> None:
    """Count what is lost and doubled. Exits with 1 if anything is."""

    def show(name: str, rows: int) -> None:
        sys.stdout.write(f"{rows:>8} rows: killed {name}\n")
        sys.stdout.flush()

    with ExitStack() as closing:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="leukoscope-collector-kills-")))
        server = None if sqlite else closing.enter_context(run_postgres())
        report = kill_collectors(
            folder,
            results_count=results,
            kills_count=kills,
            postgres=server,
            seed=seed,
            resend_s=resend_s,
            on_kill=show,
        )
    said = json.dumps(asdict(report), indent=2)
    sys.stdout.write(said + "\n")
    if out is not None:
        out.write_text(said + "\n")
    if resend_s and not report.is_well:
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
