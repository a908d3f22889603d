"""Settings that are valid by themselves but contradict each other."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from edge_agent.addresses import is_loopback, parse_address
from edge_agent.toml_file.layout import KeyPath

_EVERYWHERE = ipaddress.ip_address(0), ipaddress.IPv6Address(0)


def find_conflicts(sections: Mapping[str, Any]) -> list[tuple[KeyPath, str]]:
    """Servers on one port, and parts that share a folder. ``sections`` are those of a ``Config`` that could be read."""
    found: list[tuple[KeyPath, str]] = []
    for (first, first_host, port), (second, second_host, other_port) in combinations(_servers(sections), 2):
        if port == other_port and _overlap(first_host, second_host):
            keys: KeyPath = (second, "port")
            found.append((keys, f"{second}.port: {first} has port {port} too; choose another port for one of them"))
    collection, state = sections.get("collection"), sections.get("state")
    if collection is not None and state is not None and collection.folder == state.folder:
        keys = ("collection", "folder")
        found.append((keys, "collection.folder: is the folder of state too; choose another folder for the collection"))
    return found


def _servers(sections: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Section, host and port of everything that listens on this machine."""
    mqtt = sections.get("mqtt")
    if mqtt is not None and is_loopback(mqtt.host):
        yield "mqtt", mqtt.host, mqtt.port
    for name in ("web", "prometheus"):
        settings = sections.get(name)
        if settings is not None and settings.enabled:
            yield name, settings.host, settings.port


def _overlap(one: str, other: str) -> bool:
    addresses = parse_address(one), parse_address(other)
    # A name that is not an address may stand for any of them.
    return None in addresses or addresses[0] == addresses[1] or any(each in _EVERYWHERE for each in addresses)
