"""``agent.toml``: read, check, explain."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from edge_agent.acquisition.settings import TriggerSettings
from edge_agent.cameras.settings import CameraSettings, CapturePolicy
from edge_agent.contracts.manifest import Slug
from edge_agent.errors import ConfigError
from edge_agent.monitoring.prometheus.settings import PrometheusSettings
from edge_agent.mqtt.settings import MqttSettings
from edge_agent.settings import Settings
from edge_agent.spool.settings import SpoolSettings, StateSettings
from edge_agent.vision.quality import QualityLimits
from edge_agent.web.settings import WebSettings

SYSTEM_CONFIG = Path("/etc/leukoscope/agent.toml")
"""Where the package has it."""


def system_config() -> Path | None:
    """The device's own configuration, for commands that were not given one; None where there is none."""
    return SYSTEM_CONFIG if SYSTEM_CONFIG.exists() else None


class DeviceSettings(Settings):
    """Section ``[device]``: who this is. Both are part of every topic, so neither may name a patient."""

    site: Slug = Field(description="The clinic or laboratory.")
    id: Slug = Field(description="This device, unique in its site.")


class AnalysisSettings(Settings):
    """Section ``[analysis]``."""

    bundle: str = Field(default="accurate", min_length=1, description="Name of a shipped bundle, or a bundle's folder.")
    threads_count: int = Field(default=1, ge=1, le=64, description="Threads of the TFLite runtime.")
    max_image_megapixels: float = Field(
        default=50, gt=0, le=1000, description="Larger pictures are refused before they are decoded."
    )


class LogSettings(Settings):
    """Section ``[log]``."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level written.")


class Config(Settings):
    """The whole of ``agent.toml``."""

    device: DeviceSettings
    camera: CameraSettings
    capture: CapturePolicy = CapturePolicy()
    trigger: TriggerSettings = TriggerSettings()
    analysis: AnalysisSettings = AnalysisSettings()
    quality: QualityLimits = QualityLimits()
    mqtt: MqttSettings = MqttSettings()
    spool: SpoolSettings = SpoolSettings()
    state: StateSettings = Field(default_factory=StateSettings)
    prometheus: PrometheusSettings = PrometheusSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()


def load_config(path: Path) -> Config:
    """Read and check a configuration file. Raises ``ConfigError`` that names every wrong line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}.", remedy="Give the path of an agent.toml.") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}.") from error
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        found = sorted((_line(text, problem), explain(problem)) for problem in error.errors())
        lines = [f"{path}:{line}: {explanation}" for line, explanation in found]
        raise ConfigError("\n".join([f"{len(lines)} error(s) in {path}", *lines])) from error


def explain(problem: ErrorDetails) -> str:
    """One line for the person who wrote the file: the key, what is wrong with it, and what to do."""
    key = ".".join(keys_of(problem))
    match problem["type"]:
        case "extra_forbidden":
            near = difflib.get_close_matches(
                str(keys_of(problem)[-1]), _known_keys(keys_of(problem)[:-1]), n=1, cutoff=0.5
            )
            hint = f"; did you mean '{near[0]}'?" if near else ""
            return f"{key}: there is no such key{hint}"
        case "missing":
            return f"{key}: is missing; add it"
        case "union_tag_not_found":
            return f"{key}: is missing; say which kind of camera"
        case "union_tag_invalid":
            expected = problem.get("ctx", {}).get("expected_tags", "")
            return f"{key}: there is no such kind of camera; one of {expected}"
    message = _advise(problem)
    given = problem["input"]
    shown = "" if _is_secret(key) or not isinstance(given, str | int | float | bool) else f", not {given!r}"
    return f"{key}: {message[0].lower()}{message[1:]}{shown}"


def _advise(problem: ErrorDetails) -> str:
    if problem["type"] in {"int_parsing", "float_parsing"}:
        return "Should be a bare number; its unit is in the key's name"
    if problem["type"] == "string_pattern_mismatch" and "a-z0-9" in problem["ctx"]["pattern"]:
        return "May only have lower-case letters, digits and single '-' between them"
    return problem["msg"].removeprefix("Value error, ")


def _is_secret(key: str) -> bool:
    """Whether a value may hold a password and must not be shown."""
    return key.endswith(("url", "password", "username"))


def keys_of(problem: ErrorDetails) -> list[str]:
    """The path of keys as the file has them: pydantic adds the chosen kind of a camera after ``camera``."""
    keys = [str(part) for part in problem["loc"]]
    if problem["type"].startswith("union_tag"):
        keys.append("kind")
    elif len(keys) > 1 and keys[0] == "camera":
        del keys[1]
    return keys


def _known_keys(section: list[str]) -> list[str]:
    schema: dict[str, Any] = Config.model_json_schema()
    if not section:
        return list(schema["properties"])
    if section == ["camera"]:
        kinds = [definition for name, definition in schema["$defs"].items() if name in _camera_kinds(schema)]
        return sorted({key for kind in kinds for key in kind["properties"]})
    reference = schema["properties"].get(section[0], {}).get("$ref", "")
    return list(schema["$defs"].get(reference.rpartition("/")[2], {}).get("properties", ()))


def _camera_kinds(schema: dict[str, Any]) -> set[str]:
    options = schema["properties"]["camera"].get("oneOf", ())
    return {option["$ref"].rpartition("/")[2] for option in options}


def _line(text: str, problem: ErrorDetails) -> int:
    """The line a problem is on: that of its key, else of its section, else 1. tomllib tells no positions."""
    keys = keys_of(problem)
    section, section_line, found = "", 1, 0
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+\s*([^\]\s]+)\s*\]+", line):
            section = header.group(1).strip("\"'")
            if section == keys[0]:
                section_line = found = number
            continue
        assigned = re.match(r"\s*([\w.\-\"']+)\s*=", line)
        if assigned:
            key = assigned.group(1).replace('"', "").replace("'", "")
            path = f"{section}.{key}" if section else key
            wanted = ".".join(keys)
            if path == wanted or wanted.startswith(f"{path}."):
                return number
    return found or section_line
