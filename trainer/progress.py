"""One progress bar on stderr, so that stdout stays for results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track as rich_track

T = TypeVar("T")

console = Console(stderr=True, highlight=False, soft_wrap=True)


def track(items: Sequence[T], what: str) -> Iterable[T]:
    """Iterate with a progress bar, where stderr is a terminal."""
    return rich_track(items, description=what, console=console, disable=not console.is_terminal)
