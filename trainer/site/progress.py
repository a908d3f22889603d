"""Reports the progress of a fit to whoever waits for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

Progress = Callable[[str, float], None]
"""Takes the stage, as one word, and the part of the whole that is done, from 0 to 1."""

_LEAST_STEP = 0.01


def silent(_stage: str, _done: float) -> None:
    """Report nothing."""


class JsonLines:
    """Writes progress to stderr, one JSON object per line, at most a hundred lines per stage."""

    def __init__(self) -> None:
        self._last = ("", -1.0)

    def __call__(self, stage: str, done: float) -> None:
        """Report progress, as ``Progress`` does."""
        if stage == self._last[0] and done - self._last[1] < _LEAST_STEP and done < 1:
            return
        self._last = (stage, done)
        print(json.dumps({"progress_ratio": round(done, 3), "stage": stage}), file=sys.stderr, flush=True)  # noqa: T201 - this is the output


def each_of(items: Sequence[T], progress: Progress, stage: str, start: float, end: float) -> Iterator[T]:
    """Iterate over the items, reporting progress after each, from ``start`` to ``end`` of the whole."""
    for number, item in enumerate(items, 1):
        yield item
        progress(stage, start + (end - start) * number / len(items))
