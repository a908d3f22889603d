"""One progress bar on stderr, so that stdout stays for results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import track as rich_track

T = TypeVar("T")

# File names may look like markup or like the code of an emoji.
console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def track(items: Sequence[T], what: str) -> Iterable[T]:
    """Iterate with a progress bar, where stderr is a terminal."""
    return rich_track(items, description=escape(what), console=console, disable=not console.is_terminal)
