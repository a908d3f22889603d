"""The agent refuses a command exactly if the published schema refuses it."""

from __future__ import annotations

import json
import string
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from edge_agent.cli.schema import contract_files
from edge_agent.contracts import Calibrate, Command, ModelDesired, SetSpecimen

FILES = contract_files()
VALIDATORS = {
    model: Draft202012Validator(json.loads(FILES[name]))
    for name, model in (
        ("command.schema.json", Command),
        ("command-set-specimen.schema.json", SetSpecimen),
        ("command-calibrate.schema.json", Calibrate),
    )
}
ID = "0190b6a5-7d3c-7cc1-8f55-2d6d1a9ce0aa"


def agree(model: type[Command], text: str) -> bool:
    """Check that both accept or both refuse; returns the verdict."""
    allowed = VALIDATORS[model].is_valid(json.loads(text))
    try:
        model.model_validate_json(text)
        accepted = True
    except ValidationError:
        accepted = False
    assert accepted is allowed
    return accepted


def request(**values: Any) -> str:
    return json.dumps({"id": ID, **values})


@pytest.mark.parametrize(
    "identity",
    [
        f"urn:uuid:{ID}",
        "{" + ID + "}",
        ID.replace("-", ""),
        f" {ID}",
        f"{ID}\n",
        f"{ID} ",
        ID[:-1],
        f"{ID}0",
        ID.replace("a", "g"),
        ID.replace("1", "\uff11"),
        "",
        "0190b6a57d3c-7cc1-8f55-2d6d-1a9ce0aa",
        1,
        None,
        True,
        [ID],
        {"uuid": ID},
    ],
)
@pytest.mark.parametrize("model", VALIDATORS)
def test_an_id_has_one_form(model: type[Command], identity: object) -> None:
    assert not agree(model, json.dumps({"id": identity, "specimen": "S-7K3F-92QX"}))


@pytest.mark.parametrize("identity", [ID, ID.upper(), "00000000-0000-0000-0000-000000000000"])
def test_an_id_may_be_of_either_case(identity: str) -> None:
    assert agree(Command, json.dumps({"id": identity}))
    assert Command.model_validate_json(json.dumps({"id": identity})).id == Command(id=identity).id


@pytest.mark.parametrize(
    ("slide", "allowed"),
    [
        ("1", False),
        ("one", False),
        (True, False),
        (False, False),
        (None, False),
        ([1], False),
        (0, False),
        (-1, False),
        (1000, False),
        (10**40, False),
        (1.5, False),
        (1e300, False),
        (1, True),
        (999, True),
        (2.0, True),
    ],
)
def test_a_slide_is_a_whole_number(slide: object, allowed: bool) -> None:
    assert agree(SetSpecimen, request(specimen="S-7K3F-92QX", slide=slide)) is allowed


@pytest.mark.parametrize(
    ("count", "allowed"),
    [(None, True), (1, True), (999, True), (40.0, True), (0, False), (1000, False), (1.5, False), ("9", False)],
)
def test_the_wished_number_of_fields_is_a_whole_number_or_missing(count: object, allowed: bool) -> None:
    assert agree(SetSpecimen, request(specimen="S-7K3F-92QX", fields_count=count)) is allowed


@pytest.mark.parametrize("number", ["1e0", "1.0e2", "0.1e1", "-0.0", "1e400", "9e99", "1E2"])
def test_a_slide_may_be_written_as_json_writes_numbers(number: str) -> None:
    agree(SetSpecimen, request(specimen="S-7K3F-92QX")[:-1] + f', "slide": {number}}}')


@pytest.mark.parametrize(
    "values",
    [
        {"patient": "x"},
        {"schema_": "leukoscope/command/v1"},
        {"schema": "leukoscope/command/v2"},
        {"schema": None},
        {"schema": ["leukoscope/command/v1"]},
        {"Id": ID},
        {"use": "research-only"},
        {"slide": 1},
        {"specimen": "S-7K3F-92QX"},
        {"": 1},
    ],
)
def test_a_key_that_the_schema_does_not_have_is_refused(values: dict[str, object]) -> None:
    assert not agree(Command, request(**values))


def test_the_last_of_two_equal_keys_counts() -> None:
    first, second = str(uuid4()), str(uuid4())
    assert str(Command.model_validate_json(f'{{"id":"{first}","id":"{second}"}}').id) == second
    assert agree(Command, f'{{"id":1,"id":"{second}"}}')
    assert not agree(Command, f'{{"id":"{second}","id":1}}')
    assert not agree(Command, f'{{"id":"{second}","x":1,"x":2}}')


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1" * 5000])
def test_what_json_does_not_have_is_refused(number: str) -> None:
    for text in (number, f'{{"id":{number}}}', f'{{"id":"{ID}","specimen":"S-7K3F-92QX","slide":{number}}}'):
        with pytest.raises(ValidationError):
            SetSpecimen.model_validate_json(text)


_specimen_letters = string.ascii_letters[:6] + string.digits + "--"
_specimens = (
    st.text(_specimen_letters, max_size=40)
    | st.from_regex(r"[A-Za-z0-9]{1,6}(-[A-Za-z0-9]{1,6}){0,5}\n?")
    | st.dates().map(str)
    | st.uuids().map(str)
    | st.uuids().map(lambda value: str(value).upper())
    | st.uuids().map(lambda value: value.hex)
    | st.text(max_size=10)
)
_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _specimens
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
)
_ids = st.uuids().map(str) | st.uuids().map(lambda value: value.urn) | _values
_schemas = st.sampled_from(["leukoscope/command/v1", "leukoscope/command/v2"]) | _values
_slides = st.integers(-2, 1002) | st.integers(-2, 1002).map(float) | st.integers(0, 5).map(str) | _values
_requests = st.fixed_dictionaries(
    {},
    optional={"id": _ids, "schema": _schemas, "specimen": _specimens | _values, "slide": _slides, "schema_": _schemas},
) | st.fixed_dictionaries(
    {"id": st.uuids().map(str), "specimen": _specimens}, optional={"slide": _slides, "schema": _schemas}
)


@given(_requests | _values)
@example({"id": ID, "specimen": "S-7K3F-92QX", "slide": 1})
@example({"id": ID, "specimen": "1-2-87\n"})
@example({"id": ID, "specimen": "A1-1987-05-12"})
def test_the_agent_and_the_published_schema_agree(value: object) -> None:
    text = json.dumps(value)
    for model in VALIDATORS:
        agree(model, text)


@pytest.mark.parametrize("schema_key", ["schema_", "schema"])
def test_a_desired_model_is_held_to_its_schema_too(schema_key: str) -> None:
    value = {
        schema_key: "leukoscope/model-desired/v2",
        "kind": "bundle",
        "name": "demo",
        "version": "1.0.0",
        "sha256": "0" * 64,
        "source": "https://models.example/demo.zip",
        "issued_at": "2026-11-29T12:00:00Z",
    }
    allowed = Draft202012Validator(json.loads(FILES["model-desired.schema.json"])).is_valid(value)
    assert allowed is (schema_key == "schema")
    if allowed:
        ModelDesired.model_validate_json(json.dumps(value))
    else:
        with pytest.raises(ValidationError):
            ModelDesired.model_validate_json(json.dumps(value))


@pytest.mark.parametrize(
    ("values", "accepted"),
    [
        ({}, True),
        ({"method": "micrometer", "frames_count": 20, "division_um": 10}, True),
        ({"frames_count": 2.0, "division_um": 0.5}, True),
        ({"method": "guess"}, False),
        ({"frames_count": 0}, False),
        ({"frames_count": 21}, False),
        ({"frames_count": 2.5}, False),
        ({"frames_count": "2"}, False),
        ({"frames_count": True}, False),
        ({"division_um": 0}, False),
        ({"division_um": "10"}, False),
        ({"division_um": 10_001}, False),
        ({"write": True}, False),
    ],
)
def test_a_calibration_is_asked_for_within_its_limits(values: dict[str, Any], accepted: bool) -> None:
    assert agree(Calibrate, request(**values)) is accepted
