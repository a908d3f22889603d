"""Sections ``[mqtt]`` and ``[spool]``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from edge_agent.errors import ConfigError
from edge_agent.settings import Settings

PASSWORD_VARIABLE = "LEUKOSCOPE_MQTT_PASSWORD"  # noqa: S105 - the variable's name, not a password


class MqttSettings(Settings):
    """How to reach the broker. The password never stands in the file itself."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Name or address of the broker.")
    port: int = Field(default=1883, ge=1, le=65535, description="TCP port of the broker.")
    version: Literal["auto", "5", "3.1.1"] = Field(
        default="auto", description="MQTT version; 'auto' is 5, or 3.1.1 where the broker has no 5."
    )
    username: str | None = Field(default=None, description="User name at the broker.")
    password_file: Path | None = Field(
        default=None,
        description=f"File with the password on its first line; else the environment's {PASSWORD_VARIABLE}.",
    )
    keepalive_s: int = Field(default=30, ge=5, le=3600, description="Longest silence before a ping.")
    heartbeat_s: float = Field(default=60, ge=1, le=3600, description="Between two repeats of the status.")
    status_expiry_s: int = Field(
        default=180,
        ge=2,
        le=86400,
        description="How long the broker keeps a status that is not repeated (MQTT 5).",
    )
    reconnect_max_s: int = Field(default=30, ge=1, le=600, description="Longest wait between two attempts.")
    max_in_flight_count: int = Field(
        default=20, ge=1, le=1000, description="Results sent but not yet acknowledged, at most."
    )
    drain_s: float = Field(
        default=5, ge=0, le=60, description="How long a clean stop waits for the broker to take what is left."
    )

    def password(self) -> SecretStr | None:
        """The password from its file or the environment. Raises ``ConfigError`` if the file cannot be read."""
        if self.password_file is None:
            value = os.environ.get(PASSWORD_VARIABLE)
            return None if value is None else SecretStr(value)
        try:
            lines = self.password_file.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"mqtt.password_file {self.password_file} cannot be read.") from error
        if not lines or not lines[0]:
            raise ConfigError(f"mqtt.password_file {self.password_file} is empty.")
        return SecretStr(lines[0])


class SpoolSettings(Settings):
    """Where results wait for the broker."""

    max_messages_count: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Results kept while the broker is away; beyond, new ones are refused.",
    )
