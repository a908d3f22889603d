"""The names and addresses under which other machines find this device, and the URLs of its page."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import psutil

from edge_agent.web.settings import WebSettings

_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound


def own_names() -> list[str]:
    """The host name, and the name that multicast DNS gives the device."""
    own = socket.gethostname()
    return list(dict.fromkeys([own, f"{own.split('.', 1)[0]}.local"]))


def own_addresses() -> list[str]:
    """Addresses by which the network reaches this device, IPv4 first, without loopback and those that need a zone."""
    found = [
        ip_address(each.address.partition("%")[0])
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family in {socket.AF_INET, socket.AF_INET6}
    ]
    usable = [each for each in found if not each.is_loopback and not each.is_link_local]
    return [str(each) for each in sorted(set(usable), key=lambda each: (each.version, int(each)))]


def page_urls(settings: WebSettings) -> list[str]:
    """The URLs of the page. On the network addresses come first, as every phone finds them; names may be unknown."""
    if settings.host in _EVERYWHERE:
        wanted = 4 if settings.host == "0.0.0.0" else 6  # noqa: S104 - compared, not bound
        # An IPv6 socket serves IPv4 too.
        addresses = [each for each in own_addresses() if wanted == 6 or ip_address(each).version == 4]
        hosts = [*addresses, f"{socket.gethostname().split('.', 1)[0]}.local", *settings.allowed_hosts]
    else:
        hosts = [settings.host, *settings.allowed_hosts]
    return [page_url(settings, host) for host in hosts]


def page_url(settings: WebSettings, host: str) -> str:
    """The page's URL under one name or address."""
    scheme = "https" if settings.encrypted else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.port}/"
