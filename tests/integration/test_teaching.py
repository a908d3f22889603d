"""Heads are fitted by command, beside the readings; the end of a fit is an event."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from uuid import uuid4

from edge_agent.agent import Agent
from edge_agent.contracts import AnswerState, Event, EventKind
from edge_agent.inference import load_bundle
from tests.agents import configuration, serving
from tests.heads import write_head
from tests.kept import CONSENT
from tests.mqtt import Requester, Subscriber
from tests.teaching import FAKE_TRAINER

FIELDS = {"kind": "synthetic", "bad_fields_ratio": 0, "width_px": 320, "height_px": 240, "frames_per_field_count": 1}

SMEAR = {
    "name": "smear",
    "labels": [
        {"code": "blasts", "name": "Blasts", "malignant": True},
        {"code": "none", "name": "None", "malignant": False},
    ],
}


def request(**fields: object) -> bytes:
    return json.dumps({"id": str(uuid4()), **fields}).encode()


def until(subscriber: Subscriber, *kinds: EventKind) -> Event:
    while True:
        event = subscriber.next("event").body()
        assert isinstance(event, Event)
        if event.kind in kinds:
            return event


def test_a_head_is_fitted_by_command_while_readings_go_on(
    broker_port: int, requester: Requester, subscriber: Subscriber, tmp_path: Path
) -> None:
    config = configuration(
        broker_port,
        camera=FIELDS,
        trigger={"mode": "triggered"},
        state={"folder": str(tmp_path)},
        collection={"keep": "all", "consent": CONSENT, "label_sets": [SMEAR]},
        adaptation={"min_images_count": 2},
    )
    with serving(config, requester) as agent:
        agent.adaptation._program = [sys.executable, str(FAKE_TRAINER), "hang"]
        few = requester.ask("adapt", request(name="north-1"))
        assert few.error is not None
        assert (few.state, few.error.code) == (AnswerState.REFUSED, "labels_too_few")
        items = [requester.ask("capture").data["result"] for _ in range(4)]
        agent.collection.stop()  # everything is written
        for number, frame in enumerate(agent.collection.recent(10)):
            agent.collection.label(frame.result.id, "smear", ("blasts", "none")[number % 2], by="work")
        begun = requester.ask("adapt", request(name="north-1"))
        assert begun.state is AnswerState.DONE, begun.error
        assert begun.data == {"name": "north-1", "label_set": "smear", "state": "running"}
        assert "4 fields" in until(subscriber, EventKind.ADAPTATION_STARTED).message
        assert requester.ask("capture").data["seq"] == len(items), "readings go on"
        busy = requester.ask("adapt", request(name="north-2"))
        assert busy.error is not None
        assert (busy.state, busy.error.code) == (AnswerState.REFUSED, "adaptation_busy")
        assert requester.ask("cancel-adaptation").state is AnswerState.DONE
        until(subscriber, EventKind.ADAPTATION_CANCELLED)
        idle = requester.ask("cancel-adaptation")
        assert idle.error is not None
        assert idle.error.code == "adaptation_idle"
        assert not (tmp_path / "adaptation" / "work").exists()


def test_a_device_without_label_sets_asks_for_the_bundles_labels_also_with_a_head(tmp_path: Path) -> None:
    head = write_head(tmp_path / "head")
    config = configuration(1, analysis={"bundle": "demo", "head": str(head)}, state={"folder": str(tmp_path / "state")})
    agent = Agent(config)
    try:
        assert agent.model.head is not None
        asked = agent.collection.sets["classes"].codes
    finally:
        agent.stop()
    assert asked == tuple(each.code for each in load_bundle("demo").manifest.labels)
