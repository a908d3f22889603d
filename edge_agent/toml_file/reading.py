"""Reads a TOML file, and says in which lines its errors are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from edge_agent.errors import ConfigError
from edge_agent.toml_file.layout import KeyPath, find_lines, line_of
from edge_agent.toml_file.regular_file import read_regular_file


def read_config_text(path: Path, *, expected: str = "an agent.toml") -> str:
    """The file's text with its own line ends, without a byte-order mark. Raises ``ConfigError``.

    ``expected`` says which file was meant.
    """
    try:
        return read_regular_file(path).decode("utf-8").removeprefix("\ufeff")
    except OSError as error:
        reason = error.strerror or str(error)
        raise _unreadable(path, f"{reason[:1].lower()}{reason[1:]}", expected) from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, "it is not UTF-8 text", expected) from error


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


def config_error(path: Path, text: str, errors: list[tuple[KeyPath, str]], *, remedy: str | None = None) -> ConfigError:
    """The error for a file, with all its errors in order, each with its line."""
    lines = find_lines(text)
    found = sorted((line_of(lines, keys), explanation) for keys, explanation in errors)
    count = "1 error" if len(found) == 1 else f"{len(found)} errors"
    lines_of_errors = [f"{path}:{line}: {what}" for line, what in found]
    return ConfigError("\n".join([f"{count} in {path}", *lines_of_errors]), remedy=remedy)


def _unreadable(path: Path, reason: str, expected: str) -> ConfigError:
    return ConfigError(f"{path}: cannot be read: {reason}.", remedy=f"Give the path of {expected}.")
