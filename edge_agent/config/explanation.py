"""Explains errors of a configuration, one line each."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic_core import ErrorDetails

from edge_agent.cameras.secret_url import without_secrets
from edge_agent.config.model import Config
from edge_agent.toml_file.layout import KeyPath

_LONGEST_SHOWN = 60


def explain(problem: ErrorDetails) -> str:
    """One line with the key, the problem and what to do."""
    path = keys_of(problem)
    key = ".".join(map(str, path)) or "the file"
    match problem["type"]:
        case "extra_forbidden":
            near = difflib.get_close_matches(str(path[-1]), _known_keys(path[:-1]), n=1, cutoff=0.5)
            hint = f"; did you mean '{near[0]}'?" if near else "; remove it"
            return f"{key}: there is no such key{hint}"
        case "missing":
            return f"{key}: is missing; add it"
        case "union_tag_not_found":
            return f"{key}: is missing; add the kind of camera"
        case "union_tag_invalid":
            expected = problem.get("ctx", {}).get("expected_tags", "")
            return f"{key}: there is no such kind of camera; one of {expected}"
    message = _advise(problem)
    return f"{key}: {message[:1].lower()}{message[1:]}{_shown(key, problem)}"


def keys_of(problem: ErrorDetails) -> KeyPath:
    """The path of keys as in the file: pydantic adds the camera's kind after ``camera``."""
    keys: list[str | int] = list(problem["loc"])
    if problem["type"].startswith("union_tag"):
        keys.append("kind")
    elif len(keys) > 1 and keys[0] == "camera":
        del keys[1]
    return (*keys, *problem.get("ctx", {}).get("keys", ()))


def _advise(problem: ErrorDetails) -> str:
    if problem["type"] in {"int_parsing", "float_parsing"}:
        return "Should be a bare number; its unit is in the key's name"
    if problem["type"] == "string_pattern_mismatch" and "a-z0-9" in problem["ctx"]["pattern"]:
        return "May only have lower-case letters, digits and single '-' between them"
    return problem["msg"].removeprefix("Value error, ")


def _shown(key: str, problem: ErrorDetails) -> str:
    """The value, unless it may contain a password or is already in the message."""
    given = problem["input"]
    if problem["type"] == "value_error" or not isinstance(given, str | int | float | bool):
        return ""
    if key.endswith(("url", "password", "username")) or "@" in str(given):
        return ""
    shown = repr(without_secrets(given) if isinstance(given, str) else given)
    return f", not {shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + '...'}"


def _known_keys(section: KeyPath) -> list[str]:
    schema: dict[str, Any] = Config.model_json_schema()
    if section == ("camera",):
        kinds = [definition for name, definition in schema["$defs"].items() if name in _camera_kinds(schema)]
        return sorted({key for kind in kinds for key in kind["properties"]})
    found: dict[str, Any] = schema
    for key in section:
        found = _resolve(found.get("properties", {}).get(key, {}), schema)
    return list(found.get("properties", ()))


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that ``node`` refers to, even if null is allowed."""
    for option in (node, *node.get("anyOf", ())):
        if "$ref" in option:
            found: dict[str, Any] = schema["$defs"][option["$ref"].rpartition("/")[2]]
            return found
    return node


def _camera_kinds(schema: dict[str, Any]) -> set[str]:
    options = schema["properties"]["camera"].get("oneOf", ())
    return {option["$ref"].rpartition("/")[2] for option in options}
