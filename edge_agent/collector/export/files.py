"""Writes one exported table into one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

from sqlalchemy import Connection, Row

from edge_agent import __version__
from edge_agent.atomic_file import new_file
from edge_agent.collector.export.columns import EXPORTED, ExportedTable
from edge_agent.collector.export.csv_file import time_text, write_csv
from edge_agent.collector.export.selection import Selection, rows_query, stream

RESEARCH_USE = "Research use only. Not a medical device; no result may be used for diagnosis."


def write_table(
    connection: Connection,
    name: Literal["results", "events", "reports"],
    selection: Selection,
    target: Path | BinaryIO,
    *,
    parquet: bool = False,
) -> int:
    """Write the selected rows of a table as CSV, or as Parquet. Returns their number.

    A file appears under its name once it is complete. Raises ``OSError``, and SQLAlchemy's errors.
    """
    exported = EXPORTED[name]
    groups = _groups(connection, exported, selection)
    with _opened(target) as file:
        if not parquet:
            return write_csv(file, exported.columns, groups)
        # The import takes half a second and 60 MB, which CSV does not need.
        from edge_agent.collector.export.parquet_file import write_parquet  # noqa: PLC0415 - as above

        return write_parquet(file, exported.columns, groups, _about(exported, selection))


def _groups(connection: Connection, exported: ExportedTable, selection: Selection) -> Iterator[Sequence[Row[Any]]]:
    return stream(connection, rows_query(exported, selection))


@contextmanager
def _opened(target: Path | BinaryIO) -> Iterator[BinaryIO]:
    with new_file(target) if isinstance(target, Path) else nullcontext(target) as file:
        yield file


def _about(exported: ExportedTable, selection: Selection) -> dict[str, str]:
    """The metadata of a whole file."""
    return {
        "schema": exported.schema,
        "use": "research-only",
        "notice": RESEARCH_USE,
        "software": f"leukoscope {__version__}",
        "exported_at": time_text(datetime.now(UTC)),
        **{f"selected_{name}": value for name, value in selection.described().items()},
    }
