from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub
from pydantic import ValidationError

from edge_agent.homeassistant.settings import HomeAssistantSettings


@pytest.mark.parametrize(
    "topic", ["", "/homeassistant", "homeassistant/", "home/+", "#", "$SYS/home", "leukoscope/v1", "a\0b", "x" * 129]
)
def test_what_cannot_be_home_assistants_topic_is_refused(topic: str) -> None:
    for name in ("discovery_prefix", "birth_topic"):
        with pytest.raises(ValidationError):
            HomeAssistantSettings.model_validate({name: topic})


@given(st.text(max_size=140))
def test_what_is_taken_can_be_published_on_and_is_nobody_elses(topic: str) -> None:
    try:
        HomeAssistantSettings(discovery_prefix=topic, birth_topic=topic)
    except ValidationError:
        return
    assert topic_matches_sub(topic, topic)
    assert not topic_matches_sub("leukoscope/#", topic)
    assert not set(topic) & set("+#\0")
