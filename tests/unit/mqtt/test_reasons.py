from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.mqtt.reasons import (
    SHOWN_MAX,
    Refusal,
    blames_content,
    describe,
    explain_disconnect,
    explain_refusal,
    refusal_of,
    shown,
)


@pytest.mark.parametrize("value", [0x87, 0x90, 0x95, 0x99])
def test_what_the_message_itself_is_refused_for(value: int) -> None:
    assert refusal_of(value) is Refusal.MESSAGE


@pytest.mark.parametrize("value", [0x80, 0x83, 0x91, 0x97, 0xFF])
def test_what_may_pass(value: int) -> None:
    assert refusal_of(value) is Refusal.TRANSIENT


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0x00, "broker_unreachable"),
        (0x80, "broker_dropped"),
        (0x81, "broker_dropped"),
        (0x87, "broker_refused"),
        (0x8B, "broker_unreachable"),
        (0x8D, "broker_dropped"),
        (0x8E, "broker_session_taken"),
        (0x93, "broker_limits"),
        (0x95, "broker_limits"),
        (0x96, "broker_limits"),
        (0x97, "broker_limits"),
        (0x98, "broker_dropped"),
        (0x9C, "broker_moved"),
        (0x9D, "broker_moved"),
        (0xA0, "broker_unreachable"),
    ],
)
def test_a_disconnect_has_the_code_that_fits(value: int, code: str) -> None:
    error = explain_disconnect("broker:1883", value, "because", None)
    assert error.code == code
    assert "because" in error.message
    assert error.remedy


@pytest.mark.parametrize(
    ("value", "code"),
    [(0x86, "broker_refused"), (0x87, "broker_refused"), (0x88, "broker_refused"), (0x97, "broker_limits")],
)
def test_a_refused_connection_has_the_code_that_fits(value: int, code: str) -> None:
    assert explain_refusal("broker:1883", value, "because", None).code == code


def test_another_server_is_named_and_not_followed() -> None:
    error = explain_refusal("broker:1883", 0x9D, "Server moved", "other.example")
    assert error.code == "broker_moved"
    assert "other.example" in error.message
    assert "other.example" in error.remedy


def test_what_was_sent_is_blamed_only_where_the_broker_says_so() -> None:
    assert blames_content(0x95)
    assert blames_content(0x8E) is False
    assert blames_content(None) is None


def test_the_brokers_own_words_are_shown() -> None:
    properties = Properties(PacketTypes.PUBACK)  # type: ignore[no-untyped-call]
    properties.ReasonString = "no rights\r\n\x1b[2J"
    text = describe(ReasonCode(PacketTypes.PUBACK, identifier=0x87), properties)
    assert text == 'Not authorized ("no rights\\r\\n\\x1b[2J")'


@given(st.text(alphabet=st.characters(), max_size=500))
def test_whatever_a_broker_says_fits_on_one_line(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 10 * SHOWN_MAX + 3
    assert shown(shown(text[:20])).count("\n") == 0
