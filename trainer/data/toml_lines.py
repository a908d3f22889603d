"""Finds the line of a key in a TOML text: tomllib gives values without positions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

_ARRAY_HEADER = re.compile(r"\s*\[\[\s*([\w.\-]+)\s*\]\]")
_HEADER = re.compile(r"\s*\[\s*([\w.\-]+)\s*\]")
_ASSIGNMENT = re.compile(r"\s*[\"']?([\w\-]+)[\"']?\s*=")


def line_of(text: str, location: Sequence[str | int]) -> int | None:
    """The line, from 1, of the key at ``location``, such as ``("classes", 2, "code")``.

    If the key itself is not there, the line of its table; None if neither is there.
    """
    wanted = tuple(location)
    nearest = None
    for number, place in _places(text):
        if wanted[: len(place)] == place:
            if isinstance(place[-1], str) and len(place) == len(wanted):
                return number
            nearest = number
    return nearest


def _places(text: str) -> Iterator[tuple[int, tuple[str | int, ...]]]:
    """Line and location of every table and key, outside multi-line strings."""
    table: tuple[str | int, ...] = ()
    tables_seen: Counter[str] = Counter()
    quote = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if quote:
            quote = "" if quote in line else quote
        elif header := _ARRAY_HEADER.match(line):
            name = header.group(1)
            table = (*name.split("."), tables_seen[name])
            tables_seen[name] += 1
            yield number, table
        elif header := _HEADER.match(line):
            table = tuple(header.group(1).split("."))
            yield number, table
        elif assignment := _ASSIGNMENT.match(line):
            yield number, (*table, assignment.group(1))
            quote = next((mark for mark in ('"""', "'''") if line.count(mark) % 2), "")
