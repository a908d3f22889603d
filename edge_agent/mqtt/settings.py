"""Section ``[mqtt]``."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from edge_agent.credentials import credential
from edge_agent.errors import ConfigError
from edge_agent.mqtt.address import check_host
from edge_agent.mqtt.peer import BrokerSocket
from edge_agent.settings import Settings

PASSWORD_VARIABLE = "LEUKOSCOPE_MQTT_PASSWORD"  # noqa: S105 - the variable's name, not a password


class TlsSettings(Settings):
    """Section ``[mqtt.tls]``: an encrypted connection to a broker with a valid certificate. TLS 1.2 or later."""

    ca_file: Path | None = Field(
        default=None, description="Trusted CA certificates (PEM). Default: those of the system."
    )
    certificate_file: Path | None = Field(default=None, description="This device's own certificate (PEM).")
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
        except OSError as error:
            raise ConfigError(f"mqtt.tls.ca_file {self.ca_file} cannot be used: {error}.") from error
        context.sslsocket_class = BrokerSocket
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate_file is not None and self.key_file is not None:
            try:
                # Otherwise OpenSSL would ask for a password on a terminal, which a device does not have.
                context.load_cert_chain(
                    credential(self.certificate_file), credential(self.key_file), password=lambda: ""
                )
            except OSError as error:
                raise ConfigError(
                    f"mqtt.tls.certificate_file {self.certificate_file} and key_file {self.key_file} cannot be used: "
                    f"{error}."
                ) from error
        return context


class MqttSettings(Settings):
    """How to reach the broker. The password is never in the file itself."""

    host: Annotated[str, AfterValidator(check_host)] = Field(
        default="127.0.0.1", min_length=1, description="Name or IP address of the broker, without port or mqtt://."
    )
    port: int = Field(default=1883, ge=1, le=65535, description="TCP port of the broker.")
    version: Literal["auto", "5", "3.1.1"] = Field(
        default="auto", description="MQTT version; 'auto' is 5, or 3.1.1 where the broker has no 5."
    )
    username: str | None = Field(default=None, description="User name at the broker.")
    password_file: Path | None = Field(
        default=None,
        description=f"File with the password on its first line. Default: the environment variable {PASSWORD_VARIABLE}.",
    )
    keepalive_s: int = Field(default=30, ge=5, le=3600, description="Longest time without traffic before a ping.")
    heartbeat_s: float = Field(default=60, ge=1, le=3600, description="Interval between repeats of the status.")
    status_expiry_s: int = Field(
        default=180,
        ge=2,
        le=86400,
        description="How long the broker keeps a status that is not repeated (MQTT 5).",
    )
    reconnect_max_s: int = Field(default=30, ge=1, le=600, description="Longest pause between two attempts to connect.")
    max_in_flight_count: int = Field(
        default=20, ge=1, le=1000, description="Largest number of results sent but not yet acknowledged."
    )
    will_delay_s: int = Field(
        default=10,
        ge=0,
        le=3600,
        description="How long the broker waits before it publishes 'lost', so that a quick restart is not "
        "reported (MQTT 5).",
    )
    acknowledge_s: float = Field(
        default=60,
        ge=1,
        le=3600,
        description="Time without an acknowledgement after which the agent reconnects.",
    )
    settle_s: float = Field(
        default=0,
        ge=0,
        le=3600,
        description="An acknowledged message is kept for so long, and sent again if the connection is lost meanwhile: "
        "for a broker that acknowledges before it saves, such as mosquitto.",
    )
    tls: TlsSettings | None = Field(
        default=None, description="Without this section there is no encryption; for a broker on this machine."
    )
    drain_s: float = Field(
        default=5, ge=0, le=60, description="How long a clean stop waits for the broker to accept what is left."
    )

    def password(self) -> SecretStr | None:
        """The password from its file or the environment. Raises ``ConfigError`` if the file cannot be read."""
        if self.password_file is None:
            value = os.environ.get(PASSWORD_VARIABLE)
            return None if value is None else SecretStr(value)
        try:
            lines = credential(self.password_file).read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"mqtt.password_file {self.password_file} cannot be read.") from error
        if not lines or not lines[0]:
            raise ConfigError(f"mqtt.password_file {self.password_file} is empty.")
        return SecretStr(lines[0])
