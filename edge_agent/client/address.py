"""A broker as one address, such as ``mqtts://dashboard@broker.example:8883``."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from edge_agent.client.settings import BrokerSettings, TlsSettings
from edge_agent.errors import ConfigError

_PORTS = {"mqtt": 1883, "mqtts": 8883}


def broker_settings(address: str, *, ca_file: Path | None = None, password_file: Path | None = None) -> BrokerSettings:
    """The settings that ``address`` stands for. ``mqtts`` is encrypted; ``ca_file`` names the trusted authorities.

    A password in an address would end up in logs and process lists: it is refused. It comes from ``password_file`` or
    the environment variable ``LEUKOSCOPE_MQTT_PASSWORD``.

    Raises ``ConfigError`` that says what is wrong.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"The broker's address is wrong: {error}.", remedy=_EXAMPLE) from error
    if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigError("The broker's address is not of the form mqtt://HOST:PORT.", remedy=_EXAMPLE)
    if parts.password is not None:
        raise ConfigError(
            "The broker's address has a password in it.",
            remedy="Put it into a file, or into the environment variable LEUKOSCOPE_MQTT_PASSWORD.",
        )
    try:
        return BrokerSettings(
            host=parts.hostname,
            port=_PORTS[parts.scheme] if port is None else port,
            username=None if parts.username is None else unquote(parts.username),
            password_file=password_file,
            tls=TlsSettings(ca_file=ca_file) if parts.scheme == "mqtts" else None,
        )
    except ValidationError as error:
        said = "; ".join(str(each["msg"]) for each in error.errors())
        raise ConfigError(f"The broker's address is wrong: {said}.", remedy=_EXAMPLE) from error


_EXAMPLE = "Write it as mqtt://127.0.0.1:1883, or mqtts://user@broker.example:8883 with encryption."
