"""The parts of Home Assistant that one message can be tested with: its terms, and its handling of templates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from edge_agent.contracts import Contract, Topics
from edge_agent.homeassistant.discovery import make_discovery
from edge_agent.homeassistant.settings import HomeAssistantSettings

TERMS: dict[str, Any] = json.loads(Path(__file__).with_name("terms.json").read_text())
"""Printed by the release that it names; ``make home-assistant`` compares it with a real one."""

TOPICS = Topics("clinic", "scope-1")

# Home Assistant only warns about undefined names, and shows nothing.
_JINJA = ImmutableSandboxedEnvironment(undefined=StrictUndefined)


def discovered(topics: Topics = TOPICS, **settings: Any) -> dict[str, Any]:
    """The discovery message for a device."""
    wanted = HomeAssistantSettings(enabled=True, **settings)
    found: dict[str, Any] = json.loads(make_discovery(wanted, topics, status_expiry_s=180).payload)
    return found


def render(template: str, body: Any = None) -> str:
    """The result of a template for a message's content."""
    return _JINJA.from_string(template).render(value_json=body)


def shown(topic: str, message: Contract, topics: Topics = TOPICS) -> dict[str, str]:
    """The values that the entities of one topic show for a message, by key."""
    body = json.loads(message.to_json())
    return {
        key: render(entity["value_template"], body)
        for key, entity in discovered(topics)["components"].items()
        if entity.get("state_topic") == topic
    }


def attributes(topic: str, message: Contract) -> dict[str, dict[str, Any]]:
    """The attributes that the entities of one topic get from a message, by key."""
    body = json.loads(message.to_json())
    return {
        key: json.loads(render(entity["json_attributes_template"], body))
        for key, entity in discovered()["components"].items()
        if entity.get("json_attributes_topic") == topic
    }


def available(message: Contract) -> bool:
    """Whether a status makes the entities available that only a connected device has."""
    (template,) = {
        entity["availability_template"]
        for entity in discovered()["components"].values()
        if "availability_template" in entity
    }
    return {"online": True, "offline": False}[render(template, json.loads(message.to_json()))]
