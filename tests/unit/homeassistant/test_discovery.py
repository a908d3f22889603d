"""The discovery message checked against the terms of Home Assistant."""

from __future__ import annotations

import json
from itertools import product

import pytest

from edge_agent.contracts import Command, Topics
from edge_agent.homeassistant.discovery import make_discovery
from edge_agent.homeassistant.settings import HomeAssistantSettings
from tests.unit.homeassistant.home import TERMS, TOPICS, discovered, render

MESSAGE_MAX_BYTES = 65_536
"""The same as for every message of the contract."""


def test_the_topic_names_site_and_device_as_an_access_list_with_user_names_needs_it() -> None:
    settings = HomeAssistantSettings(enabled=True, discovery_prefix="ha/discovery")
    found = make_discovery(settings, TOPICS, status_expiry_s=180)
    assert found.topic == "ha/discovery/device/clinic/scope-1/config"
    assert len(found.payload) < MESSAGE_MAX_BYTES


def test_every_option_is_one_that_home_assistant_knows_and_none_is_missing() -> None:
    message = discovered(buttons=True)
    parts = {"message": [message], "device": [message["device"]], "origin": [message["origin"]]}
    for name, found in parts.items():
        known = TERMS[name]
        for part in found:
            assert {*part} <= {*known["required"], *known["optional"]}
            assert {*known["required"]} <= {*part}
    for key, entity in message["components"].items():
        known = TERMS["platforms"][entity["platform"]]
        assert {*entity} - {"platform"} <= {*known["required"], *known["optional"]}, key
        assert {*known["required"], "unique_id"} <= {*entity}, key


def test_device_classes_units_and_state_classes_go_together() -> None:
    for key, entity in discovered()["components"].items():
        if entity["platform"] == "button":
            continue
        assert entity.get("entity_category", "diagnostic") in TERMS["entity_category"], key
        device_class = entity.get("device_class")
        if entity["platform"] == "binary_sensor":
            assert device_class is None or device_class in TERMS["binary_sensor_device_class"], key
            continue
        state_class, unit = entity.get("state_class"), entity.get("unit_of_measurement")
        assert state_class is None or state_class in TERMS["state_class"], key
        if device_class is not None:
            known = TERMS["sensor_device_class"][device_class]
            assert known["units"] is None or unit in known["units"], key
            assert state_class is None or state_class in known["state_classes"], key
        # Only a number has a unit, and every number has one.
        assert (state_class is None) == (unit is None), key
        assert ("options" in entity) == (device_class == "enum"), key


def test_no_two_devices_share_an_identifier() -> None:
    names = ("a", "a-b", "b", "b-a", "a-b-a", "-", "--")
    seen: set[str] = set()
    for site, device in product(names, names):
        message = discovered(Topics(site, device), buttons=True)
        own = {entity["unique_id"] for entity in message["components"].values()} | {*message["device"]["identifiers"]}
        assert len(own) == len(message["components"]) + 1
        assert not own & seen
        seen |= own


def test_it_says_that_it_is_for_research_only() -> None:
    message = discovered()
    assert "research use only" in message["device"]["model"]
    for key in ("last_outcome", "last_label"):
        assert "research use only" in message["components"][key]["name"]


def test_buttons_that_are_not_asked_for_are_taken_away() -> None:
    wanted, unwanted = (discovered(buttons=buttons)["components"] for buttons in (True, False))
    buttons = {key for key, entity in wanted.items() if entity["platform"] == "button"}
    assert {key: unwanted[key] for key in buttons} == {key: {"platform": "button"} for key in buttons}
    assert {*wanted} == {*unwanted}


@pytest.mark.parametrize("command", ["capture", "pause", "resume", "self-test"])
def test_a_button_sends_a_command_with_an_id_of_its_own_each_time(command: str) -> None:
    button = discovered(buttons=True)["components"][f"button_{command.replace('-', '_')}"]
    assert button["command_topic"] == f"{TOPICS.prefix}/command/{command}"
    sent = [Command.model_validate_json(render(button["command_template"])) for _ in range(20)]
    assert len({each.id for each in sent}) == 20
    assert {(each.id.version, each.id.variant) for each in sent} == {(4, "specified in RFC 4122")}


def test_entities_of_the_connection_and_of_the_last_reading_outlive_the_device() -> None:
    always = {key for key, each in discovered(buttons=True)["components"].items() if "availability_topic" not in each}
    assert always == {"state", "connected", "last_result", "last_outcome", "last_reason", "last_label"}


def test_json_is_all_it_is() -> None:
    settings = HomeAssistantSettings(enabled=True)
    assert json.loads(make_discovery(settings, TOPICS, status_expiry_s=180).payload.decode())
