"""Reads ``agent.toml`` and finds all errors in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge_agent.config.conflicts import find_conflicts
from edge_agent.config.explanation import explain, keys_of
from edge_agent.config.model import Config
from edge_agent.toml_file.layout import KeyPath
from edge_agent.toml_file.reading import config_error, parse_config, read_config_text

_STAND_INS = {"device": {"site": "none", "id": "none"}, "camera": {"kind": "synthetic"}}
"""Values that stand in for required sections."""


def load_config(path: Path) -> Config:
    """Read and check a configuration file. Raises ``ConfigError`` that names every wrong line."""
    text = read_config_text(path)
    values = parse_config(path, text)
    errors = find_errors(values)
    if errors:
        raise config_error(path, text, errors)
    return Config.model_validate(values)


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
