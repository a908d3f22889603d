"""Changes the access file of the microscope page."""

from __future__ import annotations

from pathlib import Path

from edge_agent.cli.atomic_file import replace_file
from edge_agent.errors import ConfigError
from edge_agent.toml_file.regular_file import read_regular_file
from edge_agent.web.access.access_file import changed_access, parse_access

ACCESS_NAME = "web-access.toml"
"""Its usual name, in the credentials folder."""


def current_passwords(path: Path) -> dict[str, str]:
    """The hashes by role; none where there is no file yet. Raises ``ConfigError``."""
    content = read_content(path)
    try:
        return parse_access(content).passwords if content.strip() else {}
    except ValueError as error:
        raise _unusable(path, error) from error


def change_access(path: Path, role: str, key: str, value: str) -> None:
    """Write one value, in one step and for the owner only; comments and other roles stay. Raises ``ConfigError``."""
    try:
        changed = changed_access(read_content(path), role, key, value)
    except ValueError as error:
        raise _unusable(path, error) from error
    replace_file(path, changed, mode=0o600)


def read_content(path: Path) -> bytes:
    """The file's content; empty where there is none. Raises ``ConfigError``."""
    try:
        return read_regular_file(path)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", remedy="Run it with sudo, or name another file with --file."
        ) from error


def _unusable(path: Path, error: ValueError) -> ConfigError:
    return ConfigError(f"{path} cannot be used: {error}.", remedy="Move it away; then a new one is written.")
