"""The host names under which the microscope page may be opened.

A web page elsewhere can have its own name resolve to this device and then read the microscope page in a visitor's
browser (DNS rebinding). The browser still sends that name in the ``Host`` header, so only requests with a name of this
device are answered. Addresses cannot be rebound. Starlette's TrustedHostMiddleware cannot read IPv6 addresses.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

_HOST = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]{0,5})?", re.ASCII)


class HostRule:
    """Whether a request's ``Host`` header names this device."""

    def __init__(self, listening_on: str, allowed: Iterable[str] = ()) -> None:
        """``listening_on`` is the address or name that the server is bound to; ``allowed`` are further names."""
        address = _address(listening_on)
        self._only_loopback = listening_on == "localhost" or (address is not None and address.is_loopback)
        names = {"localhost", listening_on, *allowed}
        if not self._only_loopback:
            own = socket.gethostname()
            names |= {own, f"{own.split('.', 1)[0]}.local"}
        self._names = {_normal(name) for name in names}

    def allows(self, header: str) -> bool:
        """``header`` is the value of ``Host``: a name or an address, IPv6 in brackets, with or without a port."""
        found = _HOST.fullmatch(header.strip().lower())
        if found is None:
            return False
        host = _normal(found["address"] or found["name"])
        if host in self._names:
            return True
        address = _address(host)
        return address is not None and (address.is_loopback or not self._only_loopback)


def _normal(host: str) -> str:
    """A canonical form: lower case, without a final dot, one spelling per address."""
    name = host.lower().removesuffix(".")
    address = _address(name)
    return name if address is None else str(address)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
