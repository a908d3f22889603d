"""Where results go."""

from __future__ import annotations

from rich.console import Console

FILE_WIDTH = 160


def results() -> Console:
    """Standard output: as wide as the terminal or, in a file, wide enough for the tables."""
    console = Console()
    return console if console.is_terminal else Console(width=FILE_WIDTH)
