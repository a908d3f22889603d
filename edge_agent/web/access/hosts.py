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

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from edge_agent.addresses import is_loopback
from edge_agent.errors import HostForeign
from edge_agent.web.refusals import refuse_with

_HOST = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]{0,5})?", re.ASCII)


class HostRule:
    """Whether a request's ``Host`` header names this device."""

    def __init__(self, listening_on: str, allowed: Iterable[str] = ()) -> None:
        """``listening_on`` is the address or name that the server is bound to; ``allowed`` are additional names."""
        self._only_loopback = is_loopback(listening_on)
        names = {"localhost", listening_on, *allowed}
        if not self._only_loopback:
            own = socket.gethostname()
            names |= {own, f"{own.split('.', 1)[0]}.local"}
        self._names = {_normal(name) for name in names}

    def allows(self, header: str) -> bool:
        """Check the value of ``Host``: a name or an address, IPv6 in brackets, with or without a port."""
        found = _HOST.fullmatch(header.strip().lower())
        if found is None:
            return False
        host = _normal(found["address"] or found["name"])
        if host in self._names:
            return True
        address = _address(host)
        return address is not None and (address.is_loopback or not self._only_loopback)


class HostGuard:
    """Answers 400 to requests under a name that is not this device's."""

    def __init__(self, app: ASGIApp, rule: HostRule) -> None:
        self._app = app
        self._rule = rule

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or open a WebSocket."""
        if self._rule.allows(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send)
        else:
            foreign = HostForeign("This device does not answer under that name.")
            await refuse_with(400, foreign)(scope, receive, send)


def _normal(host: str) -> str:
    """The canonical form: lower case, without a final dot, one spelling per address."""
    name = host.lower().removesuffix(".")
    address = _address(name)
    return name if address is None else str(address)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
