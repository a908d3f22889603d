"""Released messages stay readable: see docs/contract.md for the rule."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsoncompat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edge_agent.cli.schema import json_schema
from edge_agent.contracts import MESSAGES, OpenContract, Result

FOLDER = Path(__file__).resolve().parents[2] / "contract"
RELEASES = sorted(path.name for path in FOLDER.glob("0.*"))
SCHEMAS = {name: json_schema(model) for name, model in MESSAGES.items()}
RELEASED = {
    (release, path.name.removesuffix(".schema.json")): json.loads(path.read_text(encoding="utf-8"))
    for release in RELEASES
    for path in sorted((FOLDER / release / "schemas").glob("*.json"))
}
RECORDED = [
    pytest.param(path.stem, message, id=f"{release}-{path.stem}-{number}")
    for release in RELEASES
    for path in sorted((FOLDER / release).glob("*.json"))
    for number, message in enumerate(json.loads(path.read_text(encoding="utf-8")))
]
SENT = [each for each in RECORDED if not str(each.values[0]).startswith("command")]
"""Messages by devices: those to a device are closed."""

NARROWED = {
    # A device reads only the form of a UUID in RFC 9562; 0.2.0 took braces and 'urn:uuid:', too.
    ("0.2.0", "command"),
    ("0.2.0", "command-set-specimen"),
}


@pytest.mark.parametrize(("name", "message"), RECORDED)
def test_every_recorded_message_is_still_read(name: str, message: Any) -> None:
    Draft202012Validator(SCHEMAS[name]).validate(message)
    read = MESSAGES[name].model_validate_json(json.dumps(message))
    # Nothing of the message is lost.
    written = json.loads(read.to_json())
    assert {key: written[key] for key in message if key in written}.keys() == message.keys()


def test_every_message_of_a_device_was_recorded() -> None:
    for release in RELEASES:
        recorded = {path.stem for path in (FOLDER / release).glob("*.json")}
        sent = {name for name, model in MESSAGES.items() if issubclass(model, OpenContract)}
        assert sent - recorded <= ({"specimen"} if release == "0.2.0" else set())


def places(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from places(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from places(inner)


NOT_OBJECTS = {
    "probabilities",
    "latency_ms",
    "outcomes_count",
    "reasons_count",
    "labels_count",
    "types_count",
    "details",
    "data",
}
"""Fields whose keys are the sender's: labels, stages, reasons. An addition there is a value, not a field."""


def with_more_fields(value: Any, addition: Any) -> Any:
    """A message as a later release may send it: with an additional field in every object."""
    if isinstance(value, list):
        return [with_more_fields(each, addition) for each in value]
    if not isinstance(value, dict):
        return value
    more = {key: each if key in NOT_OBJECTS else with_more_fields(each, addition) for key, each in value.items()}
    return {**more, "added_later": addition}


@pytest.mark.parametrize(("name", "message"), SENT)
@settings(max_examples=5)
@given(addition=st.one_of(st.none(), st.integers(), st.text(max_size=5), st.just({"of": ["many", {"levels": 1}]})))
def test_a_reader_of_today_reads_what_later_releases_add(name: str, message: Any, addition: Any) -> None:
    later = with_more_fields(message, addition)
    if "kind" in later and name == "event":
        later["kind"] = "a_kind_of_a_later_release"
    if later.get("reason"):
        later["reason"] = "a_reason_of_a_later_release"
    Draft202012Validator(SCHEMAS[name]).validate(later)
    read = MESSAGES[name].model_validate_json(json.dumps(later))
    assert not hasattr(read, "added_later")


@pytest.mark.parametrize(("release", "name"), sorted(RELEASED), ids="-".join)
def test_every_message_that_a_release_could_send_is_still_allowed(release: str, name: str) -> None:
    old, new = json.dumps(RELEASED[release, name]), json.dumps(SCHEMAS[name])
    compatible = jsoncompat.check_compat(old, new, "deserializer")
    assert compatible == ((release, name) not in NARROWED)


@pytest.mark.parametrize(("release", "name"), sorted(RELEASED), ids="-".join)
def test_no_field_was_removed(release: str, name: str) -> None:
    """A removed field is allowed by an open schema, and breaks who uses it."""
    old, new = RELEASED[release, name], SCHEMAS[name]
    assert fields(old) <= fields(new)


def fields(schema: dict[str, Any]) -> set[str]:
    """Paths of all fields; the name of a definition is not a level, because it may be renamed."""
    found: set[str] = set()

    def walk(part: dict[str, Any], path: str, depth: int) -> None:
        if "$ref" in part:
            walk(schema["$defs"][part["$ref"].rpartition("/")[2]], path, depth)
        for option in part.get("anyOf", ()):
            walk(option, path, depth)
        if isinstance(part.get("items"), dict):
            walk(part["items"], path, depth)
        for key, inner in part.get("properties", {}).items():
            found.add(f"{path}/{key}")
            walk(inner, f"{path}/{key}", depth + 1)

    walk(schema, "", 0)
    return found


def remove_field(schema: dict[str, Any]) -> None:
    del schema["properties"]["label"]


def narrow(schema: dict[str, Any]) -> None:
    schema["properties"]["seq"]["minimum"] = 5


def require(schema: dict[str, Any]) -> None:
    schema["properties"]["patience"] = {"type": "string"}
    schema["required"].append("patience")


@pytest.mark.parametrize("change", [remove_field, narrow, require], ids=["removed", "narrowed", "required"])
def test_a_forbidden_change_is_found(change: Callable[[dict[str, Any]], None]) -> None:
    old, new = json_schema(Result), json.loads(json.dumps(json_schema(Result)))
    change(new)
    allowed = jsoncompat.check_compat(json.dumps(old), json.dumps(new), "deserializer")
    assert not (allowed and fields(old) <= fields(new))
