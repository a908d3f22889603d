"""Section ``[homeassistant]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from edge_agent.settings import Settings

_MAX_TOPIC = 128


def check_foreign_topic(topic: str) -> str:
    """A topic, or its beginning, that belongs to Home Assistant; ``ValueError`` otherwise."""
    if topic.startswith(("$", "/")) or topic.endswith("/") or not topic.isprintable() or set(topic) & {"+", "#"}:
        raise ValueError("must be a topic without '+' and '#' that neither begins nor ends with '/'")
    if topic.partition("/")[0] == "leukoscope":
        raise ValueError("must be a topic of Home Assistant, outside of 'leukoscope/'")
    return topic


_ForeignTopic = Annotated[str, Field(min_length=1, max_length=_MAX_TOPIC), AfterValidator(check_foreign_topic)]


class HomeAssistantSettings(Settings):
    """Whether Home Assistant discovers this device, over the broker that both use."""

    enabled: bool = Field(default=False, description="Whether the device announces itself to Home Assistant.")
    discovery_prefix: _ForeignTopic = Field(
        default="homeassistant", description="First part of the topics on which Home Assistant discovers devices."
    )
    birth_topic: _ForeignTopic = Field(
        default="homeassistant/status", description="Topic on which Home Assistant publishes 'online' when it starts."
    )
    buttons: bool = Field(
        default=False,
        description="Whether Home Assistant shows buttons to capture, pause, resume and test. Its account at the "
        "broker must be allowed to write this device's commands.",
    )
