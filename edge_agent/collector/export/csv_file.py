"""Writes CSV according to RFC 4180, in UTF-8, which a spreadsheet can open without running anything in it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO

from edge_agent.collector.export.columns import Column, Kind

_FORMULA = tuple("=+-@\t\r\n'\uff1d\uff0b\uff0d\uff20")
"""Characters that a spreadsheet takes for the beginning of a formula or skips before one, and the mark of text. The
last four are the first four in full width."""

_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
"""A null character ends the text for many readers; a surrogate alone has no UTF-8."""


def write_csv(file: BinaryIO, columns: Sequence[Column], rows: Iterable[Sequence[Sequence[Any]]]) -> int:
    """Write a header, and one line per row. Returns the number of rows. ``rows`` come in groups."""
    # Write through: the caller's file stays open, and reports what could not be written.
    text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([column.name for column in columns])
    makers = [_MAKERS[column.kind] for column in columns]
    rows_count = 0
    for group in rows:
        writer.writerows([_cells(makers, row) for row in group])
        rows_count += len(group)
    text.flush()
    text.detach()
    return rows_count


def _cells(makers: Sequence[Callable[[Any], str]], row: Sequence[Any]) -> list[str]:
    return ["" if value is None else make(value) for make, value in zip(makers, row, strict=True)]


def safe_text(text: str) -> str:
    """``text``, behind a ``'`` if a spreadsheet might run it or if it begins with a ``'``.

    A reader restores the text by removing one leading ``'``.
    """
    text = _UNWRITABLE.sub("\ufffd", text)
    return f"'{text}" if text.startswith(_FORMULA) else text


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def object_text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """JSON on one line, in the order of the names; ASCII, so that odd characters are escaped."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


_MAKERS: dict[Kind, Callable[[Any], str]] = {
    Kind.TEXT: safe_text,
    Kind.UUID: str,
    Kind.TIME: time_text,
    Kind.BOOLEAN: lambda value: "true" if value else "false",
    Kind.INTEGER: str,
    Kind.NUMBER: repr,
    Kind.NUMBERS: object_text,
    Kind.INTEGERS: object_text,
    Kind.DETAILS: object_text,
}
