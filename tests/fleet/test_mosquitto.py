"""A small fleet loses nothing when its broker is killed. 'make fleet' does the same with a thousand devices."""

from __future__ import annotations

from pathlib import Path

from edge_agent.cli.local_broker import LOOPBACK
from tests.fleet.load import Fault, Fleet, run
from tests.fleet.mosquitto import mosquitto_that_keeps


def test_twenty_devices_lose_nothing_when_their_broker_is_killed(mosquitto: str, tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    with mosquitto_that_keeps(mosquitto, tmp_path / "broker") as broker:
        fleet = Fleet(
            devices_count=20,
            processes_count=1,
            rate_hz=15,
            results_count=45,
            state=tmp_path / "spools",
            broker=f"{LOOPBACK}:{broker.port}",
            mqtt={"reconnect_max_s": 1},
            receiver=(str(broker.port), "leukoscope/v1/+/+/result/+", "1.5", LOOPBACK),
        )
        killed = Fault("killed", after_s=2.2, lasts_s=0.3, begin=broker.kill, end=broker.start)
        found = run(fleet, lambda _number, command: list(command), lambda: broker.pids, [killed], patience_s=120)
    assert found.accepted_count == found.delivered_count == 900
    assert (found.lost_count, found.left_count, found.refused_count) == (0, 0, 0)
    # The receiver was disconnected: the fault was real.
    assert found.receiver_connections_count > 1
