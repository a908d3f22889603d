from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
from uuid_utils.compat import uuid7

from edge_agent.cameras import CaptureCounters
from edge_agent.contracts import EventKind, Topics
from edge_agent.errors import SpoolFull
from edge_agent.events.recorder import EventRecorder
from edge_agent.monitoring.health import HealthInputs
from edge_agent.monitoring.host import read_machine
from edge_agent.monitoring.latency import LatencyMeter
from edge_agent.monitoring.monitor import HealthMonitor, Sources
from edge_agent.mqtt import MqttSettings, Publisher
from edge_agent.spool import MemorySpool, Message

TOPICS = Topics("clinic", "scope-1")


def monitor(spool: MemorySpool, folder: Path) -> HealthMonitor:
    session = uuid7()
    publisher = Publisher(MqttSettings(), TOPICS, spool, session)
    inputs = HealthInputs(None, None, None, None, None, read_machine(folder, psutil.Process()))
    sources = Sources(lambda: publisher, lambda: inputs, lambda: CaptureCounters(0, 0, 0, 0), lambda: 0)
    return HealthMonitor(
        spool,
        EventRecorder(folder, spool, TOPICS, session),
        LatencyMeter(),
        session,
        sources,
        on_health=lambda _checks: None,
        on_metrics=lambda _metrics: None,
        on_failure=lambda _failure: None,
    )


def told(spool: MemorySpool) -> list[int]:
    """Refusals told by the events that wait."""
    found = []
    while (message := spool.take(live=True)) is not None:
        event = json.loads(message.payload)
        if event["kind"] == EventKind.MESSAGES_DROPPED:
            found.append(event["details"]["refused_count"])
    return found


def test_each_drop_is_told_once_also_by_the_next_session(tmp_path: Path) -> None:
    spool = MemorySpool(10)

    def refuse() -> None:
        with pytest.raises(SpoolFull):
            spool.append(Message(uuid7(), TOPICS.event, b"x" * 11))

    first = monitor(spool, tmp_path)
    refuse()
    refuse()
    first.look()
    assert told(spool) == [2]
    refuse()
    # So soon after the first it is only noted; at the end of the session it is told.
    first.look()
    assert told(spool) == []
    second = monitor(spool, tmp_path)
    second.look()
    assert told(spool) == [1]
    first._events.close()
    second._events.close()
