"""The AsyncAPI document and the schemas beside it agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edge_agent.cli.schema import contract_files
from edge_agent.contracts import MESSAGES, CommandName, Topics

FILES = contract_files()
DOCUMENT = json.loads(FILES["asyncapi.json"])


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_reference_leads_somewhere() -> None:
    found = list(references(DOCUMENT))
    assert found
    for reference in found:
        if reference.startswith("#/"):
            place = DOCUMENT
            for part in reference[2:].split("/"):
                place = place[part]
        else:
            assert reference.removeprefix("./") in FILES


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".schema.json")])
def test_every_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(json.loads(FILES[name]))


def test_every_topic_of_the_device_is_described_with_its_binding() -> None:
    topics = Topics("site", "device")
    ours = {
        topics.status: (1, True),
        topics.info: (1, True),
        topics.health: (1, True),
        topics.last: (1, True),
        topics.specimen: (1, True),
        topics.metrics: (0, False),
        topics.event: (1, False),
        topics.report: (1, False),
        topics.result("camera"): (1, False),
        topics.model_reported: (1, True),
        topics.model_desired: (1, True),
        **{f"{topics.prefix}/command/{name}": (1, False) for name in CommandName},
    }
    described = {}
    for operation in DOCUMENT["operations"].values():
        channel = DOCUMENT["channels"][operation["channel"]["$ref"].rpartition("/")[2]]
        address = channel["address"].format(site="site", device="device", camera="camera")
        binding = operation["bindings"]["mqtt"]
        described[address] = binding["qos"], binding["retain"]
    assert described == ours


def test_every_message_is_used() -> None:
    used = {reference.rpartition("/")[2] for reference in references(DOCUMENT["channels"])}
    assert used == set(MESSAGES)


def test_will_expiry_and_answer_are_described() -> None:
    assert DOCUMENT["operations"]["sendStatus"]["bindings"]["mqtt"]["messageExpiryInterval"] == 180
    will = DOCUMENT["servers"]["broker"]["bindings"]["mqtt"]["lastWill"]
    assert (will["topic"], will["qos"], will["retain"]) == ("leukoscope/v1/{site}/{device}/status", 1, True)
    assert all("reply" in each for name, each in DOCUMENT["operations"].items() if name.startswith("command-"))
