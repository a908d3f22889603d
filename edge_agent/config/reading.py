"""Reads ``agent.toml`` and finds all errors in it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge_agent.config.conflicts import find_conflicts
from edge_agent.config.explanation import explain, keys_of
from edge_agent.config.files import read_regular_file
from edge_agent.config.layout import KeyPath, find_lines, line_of
from edge_agent.config.model import Config
from edge_agent.errors import ConfigError

_STAND_INS = {"device": {"site": "none", "id": "none"}, "camera": {"kind": "synthetic"}}
"""Values for required sections."""


def load_config(path: Path) -> Config:
    """Read and check a configuration file. Raises ``ConfigError`` that names every wrong line."""
    text = read_config_text(path)
    values = parse_config(path, text)
    errors = find_errors(values)
    if errors:
        raise config_error(path, text, errors)
    return Config.model_validate(values)


def read_config_text(path: Path) -> str:
    """The file's text with its own line ends, without a byte-order mark. Raises ``ConfigError``."""
    try:
        return read_regular_file(path).decode("utf-8").removeprefix("\ufeff")
    except OSError as error:
        reason = error.strerror or str(error)
        raise _unreadable(path, f"{reason[:1].lower()}{reason[1:]}") from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, "it is not UTF-8 text") from error


def parse_config(path: Path, text: str) -> dict[str, Any]:
    """The values of the file's text. Raises ``ConfigError`` that names the line."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(f"{path}: not TOML: it is nested too deeply.") from error
    except ValueError as error:
        message, line = str(error), 1
        if found := re.search(r" \(at line (\d+), column \d+\)$", message):
            message, line = message[: found.start()], int(found.group(1))
        elif message.endswith(" (at end of document)"):
            line = text.count("\n") + 1
        raise ConfigError(f"{path}:{line}: not TOML: {message}; correct this line") from error


def find_errors(values: dict[str, Any]) -> list[tuple[KeyPath, str]]:
    """All errors in the values of a file, each with its key."""
    return _wrong_keys(values) + find_conflicts(usable_sections(values))


def usable_sections(values: dict[str, Any]) -> dict[str, Any]:
    """The settings of each section without errors."""
    wrong = {path[0] for path, _ in _wrong_keys(values) if path}
    stand_ins = {name: value for name, value in _STAND_INS.items() if name in wrong}
    right = {name: value for name, value in values.items() if name in Config.model_fields and name not in wrong}
    config = Config.model_validate({**stand_ins, **right})
    return {name: getattr(config, name) for name in Config.model_fields if name not in wrong}


def _wrong_keys(values: dict[str, Any]) -> list[tuple[KeyPath, str]]:
    try:
        Config.model_validate(values)
    except ValidationError as error:
        return [(keys_of(each), explain(each)) for each in error.errors()]
    return []


def config_error(path: Path, text: str, errors: list[tuple[KeyPath, str]]) -> ConfigError:
    """The error for a file, with all its errors in order, each with its line."""
    lines = find_lines(text)
    found = sorted((line_of(lines, keys), explanation) for keys, explanation in errors)
    count = "1 error" if len(found) == 1 else f"{len(found)} errors"
    return ConfigError("\n".join([f"{count} in {path}", *(f"{path}:{line}: {what}" for line, what in found)]))


def _unreadable(path: Path, reason: str) -> ConfigError:
    return ConfigError(f"{path}: cannot be read: {reason}.", remedy="Give the path of an agent.toml.")
