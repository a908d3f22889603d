"""Checks whether files with secrets are private."""

from __future__ import annotations

from pathlib import Path

from edge_agent.credentials import is_exposed
from edge_agent.errors import SecretExposed
from edge_agent.mqtt.settings import MqttSettings


def exposed_secrets(settings: MqttSettings) -> list[SecretExposed]:
    """One error per password or key file that every user of this machine can read. Missing files are ignored."""
    files: list[tuple[str, Path | None]] = [("mqtt.password_file", settings.password_file)]
    if settings.tls is not None:
        files.append(("mqtt.tls.key_file", settings.tls.key_file))
    return [
        SecretExposed(
            f"{key} {path} can be read by every user of this machine.",
            remedy=f"Remove the access of other users: chmod o-rwx {path}",
        )
        for key, path in files
        if path is not None and is_exposed(path)
    ]
