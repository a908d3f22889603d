"""Addresses of this machine and of others."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address


def parse_address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that ``host`` stands for by itself, with or without brackets; None for any name but ``localhost``."""
    if host.lower().rstrip(".") == "localhost":
        return IPv4Address("127.0.0.1")
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    address = parse_address(host)
    return address is not None and address.is_loopback
