from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge_agent.mqtt import MqttSettings
from edge_agent.mqtt.address import check_host, format_address


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("broker", "broker"),
        ("  broker.example\n", "broker.example"),
        ("broker.example.", "broker.example."),
        ("my_broker.local", "my_broker.local"),
        ("192.168.1.10", "192.168.1.10"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("bröker.example", "bröker.example"),
    ],
)
def test_names_and_addresses_are_taken(text: str, host: str) -> None:
    assert MqttSettings(host=text).host == host


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("mqtt://broker.example", 'host = "broker.example" and port = 1883'),
        ("mqtt://broker.example:1884/", 'host = "broker.example" and port = 1884'),
        ("tcp://[::1]:1883", 'host = "::1" and port = 1883'),
        ("mqtts://broker.example", 'host = "broker.example" and port = 8883 and a section [mqtt.tls]'),
        ("ssl://broker.example:8884", "port = 8884 and a section [mqtt.tls]"),
        ("ws://broker.example/mqtt", "over WebSockets is not supported"),
        ("wss://broker.example", "over WebSockets is not supported"),
        ("mqtt://", "not a URL"),
        ("mqtt://broker:port", "not a URL"),
        ("broker.example:1883", 'host = "broker.example" and port = 1883'),
        ("192.168.1.10:1883", 'host = "192.168.1.10" and port = 1883'),
        ("[::1]:1883", 'host = "::1" and port = 1883'),
        ("[broker]", "IPv6"),
        ("broker.example/", 'host = "broker.example"'),
        ("broker/mqtt", "without spaces, port or path"),
        ("Scope 1", "without spaces"),
        ("192.168.1.300", "IPv4"),
        ("192.168.1", "IPv4"),
        ("a..b", "name such as"),
        ("x" * 64, "name such as"),
        ("", "name"),
        ("   ", "name"),
    ],
)
def test_anything_else_is_refused_with_what_to_write(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=r"should") as caught:
        check_host(text)
    assert advice in str(caught.value)
    with pytest.raises(ValidationError):
        MqttSettings(host=text)


@pytest.mark.parametrize("text", ["mqtt://me:s3cret@broker", "me:s3cret@broker", "mqtts://me:s3cret@broker:8883/x"])
def test_a_password_in_the_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="password_file") as caught:
        check_host(text)
    assert "s3cret" not in str(caught.value)


@given(st.text(max_size=60))
def test_whatever_is_taken_is_taken_again_unchanged_and_nothing_else_happens(text: str) -> None:
    try:
        host = check_host(text)
    except ValueError:
        return
    assert check_host(host) == host
    assert not set(host) & set(" /@[]\n")


@given(st.ip_addresses())
def test_every_ip_address_is_taken_and_can_be_shown_with_a_port(address: ipaddress.IPv4Address) -> None:
    host = check_host(str(address))
    assert format_address(host, 1883).removesuffix(":1883").strip("[]") == host


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,10}){1,3}", fullmatch=True), st.integers(1, 65535))
def test_a_port_behind_a_name_is_named(name: str, port: int) -> None:
    assert check_host(name) == name
    with pytest.raises(ValueError, match=f"port = {port}"):
        check_host(f"{name}:{port}")
