"""A small fleet loses nothing when its broker is killed. 'make fleet' does the same with a thousand devices."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge_agent.cli.local_broker import LOOPBACK
from edge_agent.contracts import StatusState, Topics
from edge_agent.mqtt import MqttSettings
from edge_agent.testing.simulated_device import SimulatedDevice
from tests.fleet.load import Fault, Fleet, run
from tests.fleet.mosquitto import mosquitto_that_keeps
from tests.mqtt import Subscriber


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
            receiver=(str(broker.port), "leukoscope/v1/+/+/result/+", "3", LOOPBACK),
        )
        killed = Fault(
            "killed",
            after_s=0,
            lasts_s=0.3,
            begin=broker.kill,
            end=broker.start,
            after_results=200,
            collector_away_s=1.5,
        )
        found = run(fleet, lambda _number, command: list(command), lambda: broker.pids, [killed], patience_s=120)
    assert found.accepted_count == found.delivered_count == 900
    assert (found.lost_count, found.left_count, found.refused_count) == (0, 0, 0)
    # The receiver was disconnected, so the fault was real.
    assert found.receiver_connections_count > 1


def test_a_device_goes_to_the_next_address_of_its_brokers_name(
    broker_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This is how a device finds another node of a cluster, without a proxy."""
    look_up = socket.getaddrinfo

    def two_nodes(host: str, *more: Any, **options: Any) -> Any:
        if host != "broker.example.org":
            return look_up(host, *more, **options)
        # Nobody listens at the first address.
        return [found for address in ("127.0.0.2", LOOPBACK) for found in look_up(address, *more, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", two_nodes)
    with closing(Subscriber(broker_port)) as watcher:
        device = SimulatedDevice(Topics("clinic", "scope-1"), MqttSettings(host="broker.example.org", port=broker_port))
        device.start()
        watcher.until_state(StatusState.READY)
        device.stop()
