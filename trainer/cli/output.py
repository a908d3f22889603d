"""The console for results."""

from __future__ import annotations

from rich.console import Console

FILE_WIDTH = 160


def results() -> Console:
    """Standard output, as wide as the terminal or, for a file, wide enough for the tables."""
    # File names and labels may look like markup or like the code of an emoji.
    console = Console(markup=False, emoji=False)
    return console if console.is_terminal else Console(markup=False, emoji=False, width=FILE_WIDTH)
