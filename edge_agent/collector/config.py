"""``collector.toml`` and the variables that replace its values: reads them, and names every wrong line."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edge_agent.client.settings import BrokerSettings
from edge_agent.collector.exporter.settings import ExporterSettings
from edge_agent.collector.settings import (
    PASSWORD_VARIABLE,
    BatchSettings,
    DatabaseSettings,
    InstanceSettings,
    LogSettings,
    RetentionSettings,
)
from edge_agent.errors import ConfigError
from edge_agent.settings import Settings
from edge_agent.toml_file.layout import KeyPath
from edge_agent.toml_file.reading import config_error, parse_config, read_config_text

SYSTEM_CONFIG = Path("/etc/leukoscope/collector.toml")
"""The file that is read if no other is named and it exists."""

PREFIX = "LEUKOSCOPE_COLLECTOR_"
"""``LEUKOSCOPE_COLLECTOR_DATABASE_URL`` replaces ``url`` of ``[database]``, and so on for every key."""

_REMEDY = "Correct the named lines; docs/collector.md describes every key."
_LONGEST_SHOWN = 60


class CollectorConfig(Settings):
    """All sections of ``collector.toml``. Without a file every setting has its default."""

    collector: InstanceSettings = InstanceSettings()
    mqtt: BrokerSettings = BrokerSettings()
    database: DatabaseSettings = DatabaseSettings()
    batch: BatchSettings = BatchSettings()
    retention: RetentionSettings = RetentionSettings()
    prometheus: ExporterSettings = ExporterSettings()
    log: LogSettings = LogSettings()


def load_config(path: Path | None = None, environment: Mapping[str, str] | None = None) -> CollectorConfig:
    """Read the file, or the system's own if there is one, and the environment.

    Raises ``ConfigError`` that names every wrong line and variable.
    """
    if path is None and SYSTEM_CONFIG.exists():
        path = SYSTEM_CONFIG
    text = "" if path is None else read_config_text(path, expected="a collector.toml")
    values = {} if path is None else parse_config(path, text)
    variables = dict(_variables(os.environ if environment is None else environment))
    merged = _merged(values, variables)
    try:
        return CollectorConfig.model_validate(merged)
    except ValidationError as error:
        wrong = [(tuple(each["loc"]), explain(each)) for each in error.errors()]
    of_variables = [f"{_variable(keys)}: {what}" for keys, what in wrong if keys in variables]
    of_file = [(keys, what) for keys, what in wrong if keys not in variables]
    if of_variables:
        raise ConfigError("\n".join(of_variables), remedy="Correct the named environment variables.")
    raise config_error(path or Path("collector.toml"), text, of_file, remedy=_REMEDY)


def _variables(environment: Mapping[str, str]) -> Iterator[tuple[KeyPath, str]]:
    """The keys that the environment replaces, each with its value. Raises ``ConfigError`` for an unknown one."""
    known = {_variable(keys): keys for keys in _keys(CollectorConfig)}
    for name, value in environment.items():
        if not name.startswith(PREFIX):
            continue
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"The password's variable is {PASSWORD_VARIABLE}."
            raise ConfigError(f"There is no setting for the environment variable {name}.", remedy=hint)
        yield known[name], value


def _keys(model: type[BaseModel], section: KeyPath = ()) -> Iterator[KeyPath]:
    for name, field in model.model_fields.items():
        inner = next((each for each in (field.annotation, *get_args(field.annotation)) if _is_model(each)), None)
        if inner is None:
            yield (*section, name)
        else:
            yield from _keys(inner, (*section, name))


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _variable(keys: KeyPath) -> str:
    return PREFIX + "_".join(map(str, keys)).upper()


def _merged(values: dict[str, Any], variables: Mapping[KeyPath, str]) -> dict[str, Any]:
    for keys, value in variables.items():
        *sections, last = map(str, keys)
        inner = values
        for section in sections:
            inner = inner.setdefault(section, {})
            if not isinstance(inner, dict):
                break
        else:
            inner[last] = value
    return values


def explain(problem: ErrorDetails) -> str:
    """One line with the key, the problem and what to do; never a value that may be secret."""
    path = tuple(problem["loc"])
    key = ".".join(map(str, path)) or "the file"
    match problem["type"]:
        case "extra_forbidden":
            near = difflib.get_close_matches(str(path[-1]), _known_keys(path[:-1]), n=1, cutoff=0.5)
            return f"{key}: there is no such key{f'; did you mean {near[0]!r}?' if near else '; remove it'}"
        case "missing":
            return f"{key}: is missing; add it"
        case "int_parsing" | "float_parsing" | "int_type" | "float_type":
            message = "should be a bare number; its unit is in the key's name"
        case "string_pattern_mismatch":
            message = "may only have lower-case letters, digits and single '-' between them"
        case _:
            message = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    is_shown = problem["type"] != "value_error" and isinstance(given, int | float | str) and "url" not in key
    shown = f", not {str(given)[:_LONGEST_SHOWN]!r}" if is_shown and "@" not in str(given) else ""
    return f"{key}: {message[:1].lower()}{message[1:]}{shown}"


def _known_keys(section: KeyPath) -> list[str]:
    return [str(keys[len(section)]) for keys in _keys(CollectorConfig) if keys[: len(section)] == section]
