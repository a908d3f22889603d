"""Payloads of every wrong kind on every command topic, over a real broker to a real agent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from edge_agent.agent import Agent
from edge_agent.contracts import REQUESTS, AnswerState, CommandName, Topics
from tests.agents import configuration, serving
from tests.mqtt import Requester

BATCH = 100
TOPICS = Topics("clinic", "scope-1")

Payload = tuple[CommandName, bytes]

_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=50)
    | st.uuids().map(str)
    | st.datetimes().map(str)
)
JSON = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
_keys = st.sampled_from(["id", "schema", "specimen", "slide", "use", "patient", "deadline_s", ""]) | st.text(
    max_size=10
)
_nearly = st.dictionaries(_keys, JSON, max_size=5).map(lambda given: {"id": str(uuid4()), **given})
_specimens = st.fixed_dictionaries(
    {"id": st.uuids().map(str), "specimen": st.text(max_size=40) | st.dates().map(str)}, optional={"slide": JSON}
)
_text = (JSON | _nearly | _specimens).map(lambda value: json.dumps(value).encode())
_torn = st.tuples(_text, st.integers(0, 60)).map(lambda drawn: drawn[0][: drawn[1]])
_deep = st.integers(1, 2000).map(lambda depth: b'{"id":' + b"[" * depth + b"]" * depth + b"}")
_large = st.integers(4097, 60_000).map(lambda size: b" " * size)
PAYLOADS = st.binary(max_size=200) | _text | _torn | _deep | _large | st.text(max_size=100).map(str.encode)


def is_wrong(payload: Payload) -> bool:
    name, content = payload
    try:
        REQUESTS[name].model_validate_json(content)
    except ValidationError:
        return True
    return False


WRONG = st.tuples(st.sampled_from(CommandName), PAYLOADS).filter(is_wrong)


@dataclass
class FuzzReport:
    sent_count: int = 0
    answered_count: int = 0
    codes_count: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def fuzz(broker_port: int, payloads_count: int) -> FuzzReport:
    """Send ``payloads_count`` payloads.

    Raises ``AssertionError`` if one is not refused, or changes what the agent does.
    """
    report = FuzzReport()
    began = time.monotonic()
    requester = Requester(broker_port, TOPICS)
    try:
        with serving(configuration(broker_port, trigger={"mode": "triggered"}), requester) as agent:
            _throw(agent, requester, report, payloads_count)
            # The agent still listens, and the payloads had no effect.
            assert requester.ask("get-config").state is AnswerState.DONE
            assert agent.counts.readings_count == 0
            assert requester.ask("finish-specimen").state is AnswerState.REFUSED
    finally:
        requester.close()
    report.seconds = round(time.monotonic() - began, 1)
    return report


def _throw(agent: Agent, requester: Requester, report: FuzzReport, payloads_count: int) -> None:
    @settings(
        max_examples=max(1, payloads_count // BATCH),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(WRONG, min_size=BATCH, max_size=BATCH))
    def throw(batch: list[Payload]) -> None:
        for name, content in batch:
            requester.throw(name, content)
        for _ in batch:
            _, answer = requester.next()
            assert answer.state is AnswerState.REFUSED
            assert answer.error is not None
            code = answer.error.code
            report.codes_count[code] = report.codes_count.get(code, 0) + 1
            report.answered_count += 1
        report.sent_count += len(batch)
        assert not agent.wait(0)

    run: Callable[[], None] = throw
    run()
