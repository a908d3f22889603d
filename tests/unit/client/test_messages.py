from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.client import Fault, Message, Unreadable, parse
from edge_agent.client.messages import MAX_BYTES
from edge_agent.contracts import Result
from tests.results import any_result

TOPIC = "leukoscope/v1/clinic-a/scope-1/result/camera0"
BODY: dict[str, Any] = json.loads(any_result().to_json())


def payload(**changes: object) -> bytes:
    return json.dumps({**BODY, **changes}).encode()


def fault(topic: str, content: bytes) -> Fault:
    found = parse(topic, content)
    assert isinstance(found, Unreadable)
    assert found.size_bytes == len(content)
    return found.fault


def test_a_message_is_what_its_topic_and_schema_say() -> None:
    found = parse(TOPIC, payload())
    assert isinstance(found, Message)
    assert (found.site, found.device, found.kind) == ("clinic-a", "scope-1", "result")
    assert isinstance(found.body, Result)
    last = parse("leukoscope/v1/clinic-a/scope-1/last", payload())
    assert isinstance(last, Message)
    assert last.kind == "last"


def test_what_a_later_release_has_added_is_ignored_and_reasons_that_it_has_named_are_kept() -> None:
    found = parse(TOPIC, payload(added_later={"a": 1}, clock={**BODY["clock"], "drift_ppm": 3}, reason="too_green"))
    assert isinstance(found, Message)
    assert isinstance(found.body, Result)
    assert found.body.reason == "too_green"


def test_a_message_of_release_0_2_without_a_site_belongs_to_that_of_its_topic() -> None:
    old = {key: value for key, value in BODY.items() if key != "site"}
    found = parse(TOPIC, json.dumps(old).encode())
    assert isinstance(found, Message)
    assert isinstance(found.body, Result)
    assert found.site == found.body.site == "clinic-a"


@pytest.mark.parametrize(
    "topic",
    [
        "zigbee2mqtt/lamp",
        "leukoscope/v1/clinic-a/scope-1",
        "leukoscope/v1/clinic-a/scope-1/command/pause",
        "leukoscope/v1/clinic-a/scope-1/result",
        "leukoscope/v1/clinic-a/scope-1/result/a/b",
        "leukoscope/v1/Clinic/scope-1/status",
        "leukoscope/v2/clinic-a/scope-1/status",
        "leukoscope/v1/clinic-a/scope-1/status\n",
    ],
)
def test_a_topic_of_no_device_is_foreign(topic: str) -> None:
    assert fault(topic, payload()) is Fault.FOREIGN


def test_a_message_that_names_another_device_than_its_topic_is_foreign() -> None:
    assert fault(TOPIC, payload(device="scope-2")) is Fault.FOREIGN
    assert fault(TOPIC, payload(site="clinic-b")) is Fault.FOREIGN


def test_other_schemas_later_versions_and_damage_are_told_apart() -> None:
    assert fault(TOPIC, payload(schema="leukoscope/result/v2")) is Fault.FUTURE
    assert fault(TOPIC, payload(schema="leukoscope/status/v1")) is Fault.FOREIGN
    assert fault(TOPIC, payload(schema=None)) is Fault.FOREIGN
    assert fault(TOPIC, payload(seq=-1)) is Fault.DAMAGED
    assert fault(TOPIC, payload()[:-5]) is Fault.DAMAGED
    assert fault(TOPIC, payload(captured_at="0001-01-01T00:00:00+14:00")) is Fault.DAMAGED
    assert fault(TOPIC, b"[" * 100_000) is Fault.DAMAGED
    assert fault(TOPIC, b" " * (MAX_BYTES + 1)) is Fault.TOO_LARGE


def test_a_fault_is_explained_without_repeating_what_was_sent() -> None:
    found = parse(TOPIC, payload(label="Mustermann, Erika"))
    assert isinstance(found, Unreadable)
    assert found.reason.startswith("label: ")
    assert "Erika" not in found.reason


@given(st.text(max_size=60), st.binary(max_size=200))
def test_nothing_that_arrives_raises(topic: str, content: bytes) -> None:
    assert isinstance(parse(topic, content), Unreadable)
    assert isinstance(parse(TOPIC, content), Unreadable)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
    st.sampled_from(sorted(BODY)),
)
def test_no_value_of_any_field_raises(value: object, key: str) -> None:
    parse(TOPIC, json.dumps({**BODY, key: value}).encode())
