"""How commands read the paths that they are given."""

from __future__ import annotations

from pathlib import Path

import typer


def expand_path(text: str) -> Path:
    """A path whose ``~`` is expanded: a shell leaves it where it is quoted or follows a ``=``."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise typer.BadParameter(f"there is no home folder for {text}; write the path in full") from error
