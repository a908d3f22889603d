"""Runs a thousand devices at one broker, and at a cluster of three: results lost while brokers fail, and costs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.app import app
from benchmarks.report import Absent, AsJson, Findings, Goal, Out, reported
from edge_agent.cli.local_broker import LOOPBACK, find_mosquitto
from tests.fleet.load import Fault, Fleet, Outcome, Wrap, run
from tests.fleet.mosquitto import mosquitto_that_keeps
from tests.fleet.network import inside
from tests.fleet.rabbitmq import PORT, cluster
from tests.fleet.root import rabbitmq_root, version, why_not

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RESULTS = "leukoscope/v1/+/+/result/+"
IDLE_S = "10"

IMPATIENT = {"keepalive_s": 15, "acknowledge_s": 30, "reconnect_max_s": 10}
"""A device notices within half a minute that its broker is gone. The defaults are 30, 60 and 30."""

PLAIN_SESSIONS = {"will_delay_s": 0}
"""For RabbitMQ: otherwise, each device has a quorum queue.

After the loss of a node, a thousand such queues find no leader for minutes."""

MEMORY = Path("/dev/shm")  # noqa: S108 - memory as a disk, in a folder of its own

COLUMNS = {
    "spool": "spool",
    "devices_count": "devices",
    "wished_hz": "wished per s",
    "reached_hz": "reached per s",
    "accepted_count": "accepted",
    "delivered_count": "delivered",
    "lost_count": "lost",
    "duplicates_count": "repeats",
    "steady_p50_ms": "p50 ms",
    "steady_p99_ms": "p99 ms",
    "all_p99_ms": "p99 ms with faults",
    "broker_cpu_s_per_1000": "broker CPU s per 1,000",
    "broker_peak_mib": "broker MiB",
    "agents_cpu_s_per_1000": "agents CPU s per 1,000",
}


class Broker(StrEnum):
    """The broker to which the devices connect."""

    MOSQUITTO = "mosquitto"
    RABBITMQ = "rabbitmq"


class Spool(StrEnum):
    """The place where the devices keep results that the broker has not acknowledged."""

    DISK = "disk"
    """As on a device: SQLite, committed with fsync, but on a file system in memory."""
    MEMORY = "memory"


RATES_HZ = {
    Broker.MOSQUITTO: {Spool.DISK: 0.1, Spool.MEMORY: 0.5},
    Broker.RABBITMQ: {Spool.DISK: 0.1, Spool.MEMORY: 0.2},
}
"""Results per second and device, for a thousand devices with everything else on the same two cores."""


@dataclass(frozen=True, slots=True)
class Place:
    """A running broker."""

    address: str
    receiver: Sequence[str]
    wrap: Wrap
    pids: Callable[[], Sequence[int]]
    faults: Sequence[Fault]
    note: str
    mqtt: Mapping[str, object]
    """Settings of the devices."""


@app.command("fleet")
def fleet(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    broker: Annotated[Broker, typer.Option(help="One mosquitto, or three nodes of RabbitMQ.")] = Broker.MOSQUITTO,
    devices: Annotated[int, typer.Option(min=1, help="Simulated devices.")] = 1000,
    processes: Annotated[int, typer.Option(min=1, help="Processes that they share.")] = 8,
    seconds: Annotated[int, typer.Option(min=10, help="How long each device takes readings.")] = 180,
    disk_rate_hz: Annotated[
        float | None, typer.Option(help="Results a second and device with spools on disk; 0: none.")
    ] = None,
    memory_rate_hz: Annotated[float | None, typer.Option(help="The same with spools in memory; 0: none.")] = None,
    faults: Annotated[bool, typer.Option(help="Kill and cut off brokers meanwhile.")] = True,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Accepted, delivered and lost results of a fleet while its broker is killed and hangs, and the broker's costs.

    Exit status 1: a result was lost, or the broker cannot be run.
    """
    findings = Findings(broker.value, COLUMNS)
    # The brokers are also other processes.
    with reported(findings, as_json=as_json, out=out, max_others_pct=100):
        for spool, asked_hz in ((Spool.DISK, disk_rate_hz), (Spool.MEMORY, memory_rate_hz)):
            rate_hz = RATES_HZ[broker][spool] if asked_hz is None else asked_hz
            if not rate_hz:
                continue
            with tempfile.TemporaryDirectory(prefix="leukoscope-fleet-", dir=MEMORY) as name:
                folder = Path(name)
                reason = _missing(broker)
                if reason is not None:
                    findings.absent.append(Absent(broker.value, reason))
                    break
                with _place(broker, folder) as place:
                    asked = Fleet(
                        devices_count=devices,
                        processes_count=processes,
                        rate_hz=rate_hz,
                        results_count=max(1, round(seconds * rate_hz)),
                        state=folder / "spools" if spool is Spool.DISK else None,
                        broker=place.address,
                        mqtt=place.mqtt,
                        receiver=place.receiver,
                    )
                    found = run(
                        asked,
                        place.wrap,
                        place.pids,
                        place.faults if faults else (),
                        patience_s=4 * seconds + 120,
                    )
                findings.rows.append(_row(spool, asked, found))
                findings.notes = [place.note]
        rows = findings.rows
        findings.goals = [
            Goal("lost results", 0, at_most=True, is_ratio=False, measured=sum(row["lost_count"] for row in rows)),
        ]
        findings.draw = _draw(rows)
    if findings.absent or not all(goal.reached for goal in findings.goals):
        raise typer.Exit(1)


def _missing(broker: Broker) -> str | None:
    if broker is Broker.RABBITMQ:
        return why_not()
    return None if find_mosquitto() else "mosquitto is not installed (apt-get install mosquitto)"


@contextmanager
def _place(broker: Broker, folder: Path) -> Iterator[Place]:
    (folder / "broker").mkdir()
    with _one_mosquitto(folder / "broker") if broker is Broker.MOSQUITTO else _three_rabbits(folder) as place:
        yield place


@contextmanager
def _one_mosquitto(folder: Path) -> Iterator[Place]:
    program = find_mosquitto() or "mosquitto"
    with mosquitto_that_keeps(program, folder) as broker:
        yield Place(
            address=f"{LOOPBACK}:{broker.port}",
            receiver=(str(broker.port), RESULTS, IDLE_S, LOOPBACK),
            wrap=lambda _number, command: list(command),
            pids=lambda: broker.pids,
            faults=(
                Fault("killed, back after 5 s", 45, 5, broker.kill, broker.start),
                Fault("hangs for 20 s (stopped)", 90, 20, broker.freeze, broker.thaw),
            ),
            note="one mosquitto, as deploy/mosquitto/mosquitto.conf configures what it keeps",
            # mosquitto acknowledges before it saves.
            mqtt={**IMPATIENT, "settle_s": 5},
        )


@contextmanager
def _three_rabbits(folder: Path) -> Iterator[Place]:
    root = rabbitmq_root()
    with cluster(root, folder / "broker") as found:
        first, second, _ = found.nodes
        addresses = [node.host.address for node in found.nodes]
        for number in range(len(addresses)):
            turned = addresses[number:] + addresses[:number]
            (folder / f"hosts-{number}").write_text("".join(f"{address} broker.fleet\n" for address in turned))

        def wrap(number: int, command: Sequence[str]) -> list[str]:
            """Let each process find the nodes' addresses in another order, as by a name server that rotates them."""
            hosts = str(folder / f"hosts-{number % len(addresses)}")
            script = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
            return inside(found.network.hub, ["sh", "-c", script, "client", hosts, *command])

        net = found.network
        yield Place(
            address=f"broker.fleet:{PORT}",
            receiver=(str(PORT), RESULTS, IDLE_S, *reversed(addresses)),
            wrap=wrap,
            pids=lambda: [node.pid for node in found.nodes if node.pid is not None],
            faults=(
                Fault("node 1 killed, back after 20 s", 45, 20, first.kill, first.start),
                Fault("node 2 cut off for 30 s", 90, 30, lambda: net.cut(second.host), lambda: net.heal(second.host)),
            ),
            note=f"three nodes of RabbitMQ {version(root)}, deploy/rabbitmq, without TLS",
            mqtt={**IMPATIENT, **PLAIN_SESSIONS},
        )


def _row(spool: Spool, asked: Fleet, found: Outcome) -> dict[str, Any]:
    thousands = max(found.delivered_count, 1) / 1000
    return {
        **asdict(found),
        "spool": spool.value,
        "devices_count": asked.devices_count,
        "processes_count": asked.processes_count,
        "wished_hz": asked.devices_count * asked.rate_hz,
        "steady_p50_ms": found.latency_steady_ms.get("p50"),
        "steady_p99_ms": found.latency_steady_ms.get("p99"),
        "all_p99_ms": found.latency_all_ms.get("p99"),
        "broker_cpu_s_per_1000": round(found.broker_cpu_s / thousands, 3),
        "agents_cpu_s_per_1000": round(found.agents_cpu_s / thousands, 3),
        "receiver_cpu_s_per_1000": round(found.receiver_cpu_s / thousands, 3),
    }


def _draw(rows: list[dict[str, Any]]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        names = [f"spools: {row['spool']}" for row in rows]
        bars = axes.bar(names, [row["reached_hz"] for row in rows])
        axes.bar_label(
            bars,
            [f"{row['lost_count']} of {row['accepted_count']} lost, p99 {row['steady_p99_ms']} ms" for row in rows],
        )
        axes.set_ylabel("results per second, all devices")

    return draw
