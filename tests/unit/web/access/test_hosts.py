from __future__ import annotations

import socket

import pytest

from edge_agent.web.access.hosts import HostRule

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound here
LOOPBACK = [
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost:8080",
    "127.0.0.1",
    "127.0.0.1:9000",
    "[::1]",
    "[::1]:80",
]
STRANGERS = [
    "attacker.example",
    "attacker.example:8080",
    "localhost.attacker.example",
    "127.0.0.1.attacker.example",
    "attackerlocalhost",
    "",
    ":8080",
    "[::1",
    "::1]",
    "[::1]attacker.example",
    "[attacker.example]",
    "127.0.0.1@attacker.example",
    "127.0.0.1/attacker.example",
    "localhost:8080:8080",
    "localhost, attacker.example",
    "*",
    "loc\u0430lhost",
]


@pytest.mark.parametrize("bound", ["127.0.0.1", "127.0.1.1", "::1", "localhost", EVERYWHERE, "::", "192.168.1.7"])
@pytest.mark.parametrize("host", LOOPBACK)
def test_this_machines_own_names_are_allowed_whatever_it_is_bound_to(bound: str, host: str) -> None:
    assert HostRule(bound).allows(host)


@pytest.mark.parametrize(
    "bound", ["127.0.0.1", "::1", "localhost", EVERYWHERE, "::", "192.168.1.7", "scope.clinic.lan"]
)
@pytest.mark.parametrize("host", STRANGERS)
def test_names_of_others_are_refused_whatever_it_is_bound_to(bound: str, host: str) -> None:
    """A name that an attacker owns may resolve to this device."""
    assert not HostRule(bound).allows(host)


@pytest.mark.parametrize("bound", [EVERYWHERE, "::", "192.168.1.7", "fd00::7"])
@pytest.mark.parametrize("host", ["192.168.1.7", "192.168.1.7:8080", "[fd00::7]:8080", "[FD00:0::7]", "[fe80::1]"])
def test_on_the_network_any_address_is_allowed_for_addresses_cannot_be_rebound(bound: str, host: str) -> None:
    assert HostRule(bound).allows(host)


def test_on_loopback_other_addresses_are_refused() -> None:
    assert not HostRule("127.0.0.1").allows("192.168.1.7")
    assert not HostRule("::1").allows("[fd00::7]")


@pytest.mark.parametrize("own", ["scope1", "scope1.clinic.example"])
def test_on_the_network_the_devices_own_name_is_allowed(monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: own)
    rule = HostRule(EVERYWHERE)
    assert rule.allows(own)
    assert rule.allows(f"{own.upper()}:8080")
    assert rule.allows("scope1.local")
    assert not rule.allows("scope1.attacker.example")
    assert not HostRule("127.0.0.1").allows(own)


def test_further_names_are_allowed_by_the_configuration() -> None:
    rule = HostRule(EVERYWHERE, ["Microscope.Clinic.example"])
    assert rule.allows("microscope.clinic.example:8080")
    assert not rule.allows("other.clinic.example")
    assert HostRule("scope.clinic.lan").allows("scope.clinic.lan")
