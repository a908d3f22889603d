"""Parses the broker's address as users write it."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from urllib.parse import urlsplit

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_ENCRYPTED = frozenset({"mqtts", "ssl", "tls", "wss", "https"})
_WEB = frozenset({"ws", "wss", "http", "https"})


def format_address(host: str, port: int) -> str:
    """``host:port``, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_host(text: str) -> str:
    """The name or IP address in ``text``, without surrounding spaces or the brackets of an IPv6 address.

    Raises ``ValueError``, which says what to write instead, for anything else: a URL, a port behind the name, a path.
    The message repeats neither user nor password.
    """
    host = text.strip()
    if "://" in host:
        raise ValueError(_correct_url(host))
    if "@" in host:
        raise ValueError("should be a name or address alone; user and password belong in username and password_file")
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(\d+))?", host)
    name, port = bracketed.groups() if bracketed else _split_port(host)
    if bracketed and not _is_ipv6(name):
        raise ValueError("should have an IPv6 address in its brackets")
    if port is not None:
        raise ValueError(f"should be a name or address alone; write {_lines(name, port)}")
    if _is_ipv6(name):
        return name
    return _check_name(name)


def _split_port(text: str) -> tuple[str, str | None]:
    """A name and the port after it; None if there is none."""
    name, colon, port = text.rpartition(":")
    if colon and _is_port(port) and _is_name(name):
        return name, port
    return text, None


def _check_name(name: str) -> str:
    if name.endswith("/") and _is_name(name.rstrip("/")):
        raise ValueError(f'should not end in "/"; write host = "{name.rstrip("/")}"')
    if re.fullmatch(r"[0-9.]+", name):
        with contextlib.suppress(ValueError):
            return str(ipaddress.IPv4Address(name))
        raise ValueError("should be an IPv4 address of four numbers from 0 to 255, or a name")
    if not _is_name(name):
        raise ValueError(
            "should be a name such as broker.example or an address such as 192.168.1.10, without spaces, port or path"
        )
    return name


def _correct_url(url: str) -> str:
    scheme = url.partition("://")[0].lower()
    if scheme in _WEB:
        return "should be a name or address alone; MQTT over WebSockets is not supported, use the broker's MQTT port"
    advice = "should be a name or address alone, not a URL"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return advice
    if not (_is_name(host) or _is_ipv6(host)):
        return advice
    encrypted = scheme in _ENCRYPTED
    advice += f"; write {_lines(host, str(port or (8883 if encrypted else 1883)))}"
    if encrypted:
        advice += " and a section [mqtt.tls]"
    if parts.username or parts.password:
        advice += "; user and password belong in username and password_file"
    return advice


def _lines(host: str, port: str) -> str:
    return f'host = "{host}" and port = {port}'


def _is_port(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,5}", text) is not None and 1 <= int(text) <= 65535


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _is_name(text: str) -> bool:
    try:
        ascii_text = text.encode("idna").decode("ascii") if not text.isascii() else text
    except UnicodeError:
        return False
    labels = ascii_text.removesuffix(".").split(".")
    return len(ascii_text) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
