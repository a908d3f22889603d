from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.collector.reading import MAX_BYTES, Fault, Message, Unreadable, read
from edge_agent.collector.rows import Origin, unreadable_entry
from tests.collecting import NOW, TOPICS, make_event, make_health, make_metrics, make_report, make_result, make_status

TOPIC = TOPICS.result("camera0")
RESULT = json.loads(make_result().to_json())


def changed(**values: Any) -> bytes:
    return json.dumps({**RESULT, **values}).encode()


def fault(topic: str, payload: bytes) -> Fault:
    found = read(topic, payload)
    assert isinstance(found, Unreadable)
    assert found.reason
    return found.fault


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        (TOPIC, make_result()),
        (TOPICS.last, make_result()),
        (TOPICS.event, make_event()),
        (TOPICS.report, make_report()),
        (TOPICS.metrics, make_metrics()),
        (TOPICS.status, make_status()),
        (TOPICS.health, make_health()),
    ],
    ids=["result", "last", "event", "report", "metrics", "status", "health"],
)
def test_messages_of_the_contract_are_read(topic: str, body: Any) -> None:
    found = read(topic, body.to_json())
    assert isinstance(found, Message)
    assert (found.site, found.device, type(found.body)) == (TOPICS.site, TOPICS.device, type(body))


def test_a_message_of_an_old_release_takes_its_site_from_its_topic() -> None:
    old = {key: value for key, value in RESULT.items() if key != "site"}
    found = read(TOPIC, json.dumps(old).encode())
    assert isinstance(found, Message)
    assert found.site == TOPICS.site


def test_what_a_later_release_adds_is_no_fault() -> None:
    assert isinstance(read(TOPIC, changed(added_later=[1], reason="brand_new")), Message)


@pytest.mark.parametrize(
    ("topic", "payload", "expected"),
    [
        ("zigbee2mqtt/lamp", b"{}", Fault.FOREIGN),
        ("leukoscope/v1/a/b/unknown", b"{}", Fault.FOREIGN),
        ("leukoscope/v1/NORTH/scope-1/result/camera0", changed(), Fault.FOREIGN),
        (TOPIC, b'{"temperature": 21}', Fault.FOREIGN),
        (TOPIC, b"[]", Fault.FOREIGN),
        (TOPIC, changed(schema="acme/thing/v1"), Fault.FOREIGN),
        (TOPIC, make_event().to_json(), Fault.FOREIGN),
        (TOPIC, changed(device="scope-9"), Fault.FOREIGN),
        (TOPIC, changed(site="south-clinic"), Fault.FOREIGN),
        (TOPIC, changed(schema="leukoscope/result/v2"), Fault.FUTURE),
        (TOPIC, b"\xff\xfe", Fault.DAMAGED),
        (TOPIC, changed()[:-20], Fault.DAMAGED),
        (TOPIC, changed(seq=-1), Fault.DAMAGED),
        (TOPIC, changed(captured_at="0001-01-01T00:00:00+14:00"), Fault.DAMAGED),
        (TOPIC, b"[" * 100_000, Fault.DAMAGED),
        (TOPIC, b"x" * 1_000_000, Fault.TOO_LARGE),
        (TOPIC, changed(padding="x" * MAX_BYTES), Fault.TOO_LARGE),
    ],
    ids=[
        "another-product",
        "unknown-kind",
        "no-site",
        "no-schema",
        "no-object",
        "other-schema",
        "other-kind",
        "other-device",
        "other-site",
        "future-schema",
        "no-text",
        "cut-off",
        "wrong-value",
        "no-such-year-in-utc",
        "deeply-nested",
        "a-megabyte-of-noise",
        "a-large-result",
    ],
)
def test_what_cannot_be_read_says_why(topic: str, payload: bytes, expected: Fault) -> None:
    assert fault(topic, payload) is expected


DOCUMENTS = st.recursive(st.none() | st.text(), st.lists).map(lambda each: json.dumps(each).encode())


@given(
    topic=st.one_of(st.text(), st.from_regex(r"leukoscope/v1/[a-z0-9-]+/[a-z0-9-]+/[a-z]+(/[a-z]+)?", fullmatch=True)),
    payload=st.one_of(
        st.binary(), st.recursive(st.none() | st.text(), st.lists).map(lambda each: json.dumps(each).encode())
    ),
)
def test_nothing_that_arrives_raises(topic: str, payload: bytes) -> None:
    found = read(topic, payload)
    if isinstance(found, Unreadable):
        row = unreadable_entry(Origin(topic, "", "", NOW, payload), found.fault, found.reason).row
        assert "\0" not in row["topic"] + row["payload"] + row["reason"]
        row["topic"].encode()
        row["payload"].encode()


@given(
    key=st.sampled_from(sorted(RESULT)),
    value=st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(), lambda each: st.lists(each, max_size=3)
    ),
)
def test_no_wrong_value_raises(key: str, value: Any) -> None:
    read(TOPIC, changed(**{key: value}))
