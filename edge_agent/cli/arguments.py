"""Parses the path arguments of commands."""

from __future__ import annotations

from pathlib import Path

import typer


def expand_path(text: str) -> Path:
    """Expand ``~`` in a path: shells do not where it is quoted or follows a ``=``."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise typer.BadParameter(f"there is no home folder for {text}; write the path in full") from error
