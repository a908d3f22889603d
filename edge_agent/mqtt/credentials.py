"""The identity of a device at the broker, and the secrets that prove it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from pydantic import SecretStr

from edge_agent.mqtt.settings import MqttSettings


@dataclass(frozen=True, slots=True)
class Credentials:
    """The device's secrets, and the certificates by which it trusts the broker."""

    password: SecretStr | None
    tls: ssl.SSLContext | None


def read_credentials(settings: MqttSettings) -> Credentials:
    """Read password and certificates. Raises ``ConfigError`` if they cannot be read or used."""
    return Credentials(settings.password(), None if settings.tls is None else settings.tls.context())


def client_id(site: str, device: str) -> str:
    """The name of a device's session at the broker."""
    return f"leukoscope-{site}-{device}"
