"""Payloads of every wrong kind on ``model/desired``, over a real broker to a real agent."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import timedelta

import paho.mqtt.client as mqtt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.agent import Agent
from edge_agent.contracts import AnswerState, ModelReported, RolloutState
from edge_agent.errors import DesiredInvalid
from edge_agent.inference.bundle import load_bundle
from edge_agent.rollout.desired import read_desired
from tests.agents import configuration, serving
from tests.faults.fuzz import JSON, PAYLOADS
from tests.mqtt import Requester, Subscriber
from tests.rollouts import ISSUED_AT, TOPICS, next_reported, publish_desired

BATCH = 100

VALID: dict[str, object] = {
    "schema": "leukoscope/model-desired/v2",
    "kind": "bundle",
    "name": "other",
    "version": "9.0.0",
    "sha256": "0" * 64,
    "source": "/nowhere.zip",
    "issued_at": ISSUED_AT.isoformat(),
    "not_before": None,
    "wave": {"devices_pct": 50, "salt": "a"},
    "shadow_readings_count": 10,
}
FOLLOWED = {**VALID, "name": "demo", "wave": None, "shadow_readings_count": None}
"""A message for the model that the agent runs anyway."""

_sources = st.sampled_from(
    [
        "http://models.example/a.zip",
        "https://user:secret@models.example/a.zip",
        "https://",
        "https://[::1",
        "https://a:99999999/",
        "file://elsewhere/a.zip",
        "file:relative",
        "../../etc/passwd",
        "ftp://a/b",
        "https://a/b\r\nHost: c",
        "/a\0b",
        "javascript:1",
    ]
)
_before = st.datetimes(max_value=ISSUED_AT.replace(tzinfo=None)).map(lambda at: f"{at.isoformat()}Z")
_times = st.datetimes().map(str) | _before
_values = {
    "source": _sources | st.text(max_size=30),
    "issued_at": _times,
    "not_before": _times,
    "version": st.text(max_size=12) | st.sampled_from(["1.0", "1.0.0-rc1", "01.0.0 ", "9" * 40 + ".0.0", "\uff11.0.0"]),
    "name": st.text(max_size=12) | st.sampled_from(["../x", "a/b", "A", "a" * 65]),
    "sha256": st.text("0123456789abcdefABCDEF", max_size=66),
    "wave": st.fixed_dictionaries({"devices_pct": st.floats() | st.integers(), "salt": st.text(max_size=70)}),
}


@st.composite
def nearly_valid(draw: st.DrawFn) -> bytes:
    """A message with one or two fields that are wrong, missing, or too old."""
    message = dict(VALID)
    for name in draw(st.lists(st.sampled_from([*VALID, "more"]), min_size=1, max_size=2)):
        if draw(st.integers(0, 4)) == 0:
            message.pop(name, None)
        else:
            message[name] = draw(_values.get(name, JSON) | JSON)
    return json.dumps(message).encode()


def is_wrong(payload: bytes) -> bool:
    """Whether a device that follows a message of ``ISSUED_AT`` must refuse this payload."""
    if not payload:
        return False
    try:
        return read_desired(payload).issued_at <= ISSUED_AT
    except DesiredInvalid:
        return True


WRONG = (nearly_valid() | nearly_valid() | PAYLOADS).filter(is_wrong)


@dataclass
class DesiredFuzzReport:
    sent_count: int = 0
    refused_count: int = 0
    codes_count: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def fuzz_desired(broker_port: int, payloads_count: int) -> DesiredFuzzReport:
    """Send ``payloads_count`` payloads.

    Raises ``AssertionError`` if one is not refused, or changes what the agent does.
    """
    report = DesiredFuzzReport()
    began = time.monotonic()
    requester, subscriber = Requester(broker_port, TOPICS), Subscriber(broker_port)
    sender = mqtt.Client(CallbackAPIVersion.VERSION2)
    sender.max_queued_messages_set(0)
    sender.connect("127.0.0.1", broker_port)
    sender.loop_start()
    publish_desired(broker_port, json.dumps({**FOLLOWED, "version": load_bundle("demo").manifest.version}).encode())
    try:
        with serving(configuration(broker_port, trigger={"mode": "triggered"}), requester) as agent:
            before = next_reported(subscriber, lambda each: each.state is RolloutState.ACTIVE)
            _throw(sender, subscriber, report, payloads_count)
            after = _ask_for_more(agent, subscriber, broker_port)
            # The payloads had no effect, and the model in use still answers.
            assert after.model == before.model
            assert requester.ask("capture").state is AnswerState.DONE
    finally:
        sender.disconnect()
        sender.loop_stop()
        subscriber.close()
        requester.close()
    report.seconds = round(time.monotonic() - began, 1)
    return report


def _throw(sender: mqtt.Client, subscriber: Subscriber, report: DesiredFuzzReport, payloads_count: int) -> None:
    @settings(
        max_examples=max(1, payloads_count // BATCH),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(WRONG, min_size=BATCH, max_size=BATCH))
    def throw(batch: list[bytes]) -> None:
        for payload in batch:
            sender.publish(TOPICS.model_desired, payload, qos=1)
            report.sent_count += 1
        while report.refused_count < report.sent_count:
            reported = subscriber.next("model-reported").body()
            assert isinstance(reported, ModelReported)
            assert reported.state is RolloutState.ACTIVE
            if reported.messages_refused_count > report.refused_count:
                assert reported.message_error is not None
                code = reported.message_error.code
                # Reports that follow each other immediately are sent as one.
                count = reported.messages_refused_count - report.refused_count
                report.codes_count[code] = report.codes_count.get(code, 0) + count
                report.refused_count = reported.messages_refused_count
        assert report.refused_count == report.sent_count

    throw()
    assert set(report.codes_count) <= {"desired_invalid", "desired_stale"}, report.codes_count


def _ask_for_more(agent: Agent, subscriber: Subscriber, broker_port: int) -> ModelReported:
    """Send one more message, which is followed: the agent still listens."""
    newer = {**FOLLOWED, "version": agent.model.version, "issued_at": (ISSUED_AT + timedelta(seconds=1)).isoformat()}
    publish_desired(broker_port, json.dumps(newer).encode())
    return next_reported(
        subscriber,
        lambda each: (
            each.state is RolloutState.ACTIVE
            and each.desired is not None
            and each.desired.issued_at > ISSUED_AT
            and each.message_error is None
        ),
    )
