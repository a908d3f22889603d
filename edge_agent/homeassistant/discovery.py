"""The message by which Home Assistant discovers a device with all its entities.

This is device-based discovery, which Home Assistant has had since 2024.11: one retained message per device.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from edge_agent import __version__
from edge_agent.contracts import Topics
from edge_agent.homeassistant.entities import is_removed, make_entities
from edge_agent.homeassistant.settings import HomeAssistantSettings

BIRTH = b"online"
"""Payload that Home Assistant publishes when it starts."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """The message for Home Assistant, and its topic."""

    topic: str
    payload: bytes


def make_discovery(settings: HomeAssistantSettings, topics: Topics, *, status_expiry_s: int) -> Discovery:
    """The message for one device. ``status_expiry_s`` is how long a status is valid if it is not repeated.

    The topic names site and device in two parts, like the user name SITE/DEVICE, so that an access list can let each
    device announce only itself.
    """
    entities = make_entities(topics, status_expiry_s=status_expiry_s, buttons=settings.buttons)
    # Sites and devices never contain '_', so no two devices share an identifier.
    identity = f"leukoscope_{topics.site}_{topics.device}"
    content = {
        "device": {
            "identifiers": [identity],
            "name": f"Leukoscope {topics.site} {topics.device}",
            "manufacturer": "Leukoscope",
            "model": "Blood smear camera, research use only",
            "sw_version": __version__,
        },
        "origin": {"name": "Leukoscope", "sw_version": __version__},
        "components": {
            key: options if is_removed(options) else {**options, "unique_id": f"{identity}_{key}"}
            for key, options in entities.items()
        },
    }
    return Discovery(
        f"{settings.discovery_prefix}/device/{topics.site}/{topics.device}/config",
        json.dumps(content, ensure_ascii=False).encode(),
    )
