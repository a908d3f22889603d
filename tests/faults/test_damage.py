"""An agent whose spool is damaged goes on, and reports it."""

from __future__ import annotations

from pathlib import Path

from edge_agent.contracts import EventKind
from edge_agent.spool.place import FILE
from tests.agents import configuration, running
from tests.mqtt import Subscriber
from tests.unit.spool.test_damage import filled


def test_an_agent_reports_damage_and_goes_on(tmp_path: Path, broker_port: int, subscriber: Subscriber) -> None:
    folder = tmp_path / "state"
    filled(folder)
    path = folder / FILE
    path.write_bytes(path.read_bytes()[:20000])
    with running(configuration(broker_port, state={"folder": str(folder)})):
        told = iter(lambda: subscriber.next("event").body(), None)
        event = next(each for each in told if each.kind == EventKind.SPOOL_SET_ASIDE)
        assert event.code == "spool_corrupt"
        subscriber.next("result")
    assert list(folder.glob("spool.corrupt-*.db"))
