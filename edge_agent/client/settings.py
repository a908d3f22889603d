"""Settings of a client's broker: the arguments of a program, or section ``[mqtt]`` of ``collector.toml``."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from edge_agent.credentials import credential
from edge_agent.errors import ConfigError
from edge_agent.settings import Settings

PASSWORD_VARIABLE = "LEUKOSCOPE_MQTT_PASSWORD"  # noqa: S105 - the variable's name, not a password


def _check_host(value: str) -> str:
    if "/" in value or "@" in value:
        raise ValueError("should be a name or address alone; port, user and password have keys of their own")
    return value


class _BrokerSocket(ssl.SSLSocket):
    """A socket that closes itself if the handshake fails; paho would leave it open."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - ssl's signature
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


class TlsSettings(Settings):
    """Section ``[mqtt.tls]``: an encrypted connection to a broker with a valid certificate. TLS 1.2 or later."""

    ca_file: Path | None = Field(
        default=None, description="Trusted CA certificates (PEM). Default: those of the system."
    )
    certificate_file: Path | None = Field(default=None, description="The client's own certificate (PEM).")
    key_file: Path | None = Field(default=None, description="Its private key (PEM, not encrypted).")

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("needs certificate_file and key_file together, or neither")
        return self

    def context(self) -> ssl.SSLContext:
        """The TLS context, which verifies the broker's name. Raises ``ConfigError`` if a file cannot be used."""
        try:
            context = ssl.create_default_context(cafile=None if self.ca_file is None else credential(self.ca_file))
            context.sslsocket_class = _BrokerSocket
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.certificate_file is not None and self.key_file is not None:
                # Otherwise OpenSSL would ask for a password on a terminal, which a service does not have.
                context.load_cert_chain(
                    credential(self.certificate_file), credential(self.key_file), password=lambda: ""
                )
        except OSError as error:
            raise ConfigError(
                f"A file of [mqtt.tls] cannot be used: {error}.",
                remedy="Check mqtt.tls.ca_file, certificate_file and key_file, and that this program may read them.",
            ) from error
        return context


class BrokerSettings(Settings):
    """How to reach the broker, which has to speak MQTT 5. The password is never in the file itself."""

    host: Annotated[str, AfterValidator(_check_host)] = Field(
        default="127.0.0.1", min_length=1, description="Name or IP address of the broker, without port or mqtt://."
    )
    port: int = Field(default=1883, ge=1, le=65535, description="TCP port of the broker.")
    username: str | None = Field(default=None, description="User name at the broker.")
    password_file: Path | None = Field(
        default=None,
        description=f"File with the password on its first line. Default: the environment variable {PASSWORD_VARIABLE}.",
    )
    keepalive_s: int = Field(default=30, ge=5, le=3600, description="Longest time without traffic before a ping.")
    reconnect_max_s: int = Field(default=30, ge=1, le=600, description="Longest pause between two attempts to connect.")
    session_expiry_s: int = Field(
        default=2_592_000,
        ge=60,
        le=4_294_967_294,
        description="The broker keeps the messages of a client that is away for so long. Default: 30 days.",
    )
    receive_maximum_count: int = Field(
        default=1000,
        ge=1,
        le=65535,
        description="Largest number of messages that the broker sends before one is acknowledged; bounds the memory.",
    )
    tls: TlsSettings | None = Field(
        default=None, description="Without this section there is no encryption; for a broker on this machine."
    )

    def password(self) -> SecretStr | None:
        """The password from its file or the environment. Raises ``ConfigError`` if the file cannot be read."""
        if self.password_file is None:
            value = os.environ.get(PASSWORD_VARIABLE)
            return None if value is None else SecretStr(value)
        try:
            lines = credential(self.password_file).read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"mqtt.password_file {self.password_file} cannot be read.",
                remedy="Create it, with the password on its first line, readable by this program's user.",
            ) from error
        if not lines or not lines[0]:
            raise ConfigError(
                f"mqtt.password_file {self.password_file} is empty.", remedy="Write the password on its first line."
            )
        return SecretStr(lines[0])
