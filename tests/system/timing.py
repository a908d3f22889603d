"""The measurements of each case, for the table at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Table:
    """Cases in the order in which they ran, each with its outcome and its measurements."""

    _outcomes: dict[str, str] = field(default_factory=dict)
    _figures: dict[str, dict[str, float]] = field(default_factory=dict)

    def outcome(self, case: str, outcome: str) -> None:
        """Record the outcome of a case."""
        self._outcomes[case] = outcome

    def figure(self, case: str, what: str, value: float) -> None:
        """Record one measurement; its unit is the end of its name."""
        self._figures.setdefault(case, {})[what] = round(value, 1)

    def rows(self) -> list[dict[str, object]]:
        """The rows for a file."""
        return [
            {"case": case, "outcome": outcome, "figures": self._figures.get(case, {})}
            for case, outcome in self._outcomes.items()
        ]

    def lines(self) -> Iterator[str]:
        """The lines for a terminal."""
        width = max(map(len, self._outcomes), default=0)
        for case, outcome in self._outcomes.items():
            figures = ", ".join(f"{what} {value:g}" for what, value in self._figures.get(case, {}).items())
            yield f"{outcome:<7} {case:<{width}}  {figures}".rstrip()


TABLE = Table()


class Clock:
    """Records the figures of one case."""

    def __init__(self, case: str) -> None:
        self._case = case

    def note(self, what: str, value: float) -> None:
        """Record a figure; its unit is the end of its name."""
        TABLE.figure(self._case, what, value)

    @contextmanager
    def time(self, what: str) -> Iterator[float]:
        """Record the seconds that a block takes; yields the time at which it begins."""
        began_s = time.monotonic()
        yield began_s
        self.note(f"{what} s", time.monotonic() - began_s)
