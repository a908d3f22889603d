from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from uuid_utils.compat import uuid7

from edge_agent.contracts import MESSAGES, Command, ModelDesired, Status, StatusState, Topics

UNITS = (
    "px",
    "us",
    "ms",
    "ns",
    "k",
    "c",
    "pct",
    "ratio",
    "count",
    "score",
    "delta_e",
    "um",
    "um2",
    "um_per_pixel",
    "um_per_pixel_low",
    "um_per_pixel_high",
    "bytes",
    "hz",
    "s",
)
UNITLESS = {"seq", "zero_point", "slide", "field", "repeats_field"}


def status(**changes: Any) -> Status:
    values = {"device": "scope-1", "session": uuid7(), "state": StatusState.READY, "code": None, "at": None}
    return Status(**{**values, **changes})


@pytest.mark.parametrize("model", MESSAGES.values())
def test_every_number_that_leaves_the_device_has_a_unit_in_its_name(model: type[BaseModel]) -> None:
    schema = model.model_json_schema(mode="serialization")
    for definition in [schema, *schema.get("$defs", {}).values()]:
        for name, field in definition.get("properties", {}).items():
            kinds = {field.get("type"), *(option.get("type") for option in field.get("anyOf", ()))}
            if kinds & {"number", "integer"} and name not in UNITLESS:
                assert name.endswith(UNITS), name


@pytest.mark.parametrize("model", [each for each in MESSAGES.values() if not issubclass(each, Command | ModelDesired)])
def test_every_message_says_what_it_may_be_used_for(model: type[BaseModel]) -> None:
    assert model.model_json_schema()["properties"]["use"]["const"] == "research-only"


def test_times_are_utc_to_the_millisecond_whatever_zone_they_came_in() -> None:
    noon = datetime(2026, 11, 23, 13, 0, 0, 123456, timezone(timedelta(hours=1)))
    assert json.loads(status(at=noon).to_json())["at"] == "2026-11-23T12:00:00.123Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="time zone"):
        status(at=datetime(2026, 1, 1))  # noqa: DTZ001 - the point of the test


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_utc_does_not_have_is_refused_as_any_other_wrong_value(moment: str) -> None:
    with pytest.raises(ValidationError, match="outside of the calendar"):
        Status.model_validate_json(json.dumps({**json.loads(status().to_json()), "at": moment}))


def test_a_reader_ignores_what_a_later_release_has_added() -> None:
    body = json.loads(status(at=datetime.now(UTC)).to_json())
    assert Status.model_validate({**body, "added_later": 1}) == Status.model_validate(body)


def test_a_device_refuses_a_request_with_unknown_keys() -> None:
    body = {"schema": "leukoscope/command/v1", "id": str(uuid7())}
    Command.model_validate(body)
    with pytest.raises(ValidationError):
        Command.model_validate({**body, "patient": "somebody"})


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_name_can_break_out_of_its_topic(site: str, device: str) -> None:
    try:
        topics = Topics(site, device)
    except ValueError:
        return
    assert re.fullmatch(r"leukoscope/v1/[a-z0-9-]+/[a-z0-9-]+/status", topics.status)


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "a b", "Ä", "A"])
def test_what_is_no_topic_segment_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case"):
        Topics("clinic", name)
    with pytest.raises(ValueError, match="lower-case"):
        Topics("clinic", "scope").result(name)
