"""The data dictionary: the meaning of each column of an exported table."""

from __future__ import annotations

import csv
import io

from edge_agent.collector.export.columns import EXPORTED, Column

HEADER = ("table", "column", "type", "unit", "description", "null_meaning")


def dictionary_rows() -> list[tuple[str, ...]]:
    """One row per column, in the order of the columns; the fields are those of ``HEADER``."""
    return [(name, *_fields(column)) for name, exported in EXPORTED.items() for column in exported.columns]


def _fields(column: Column) -> tuple[str, ...]:
    return column.name, column.kind.value, column.unit, column.description, column.null or ""


def dictionary_csv() -> str:
    """The dictionary as CSV (RFC 4180), with a header."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADER)
    writer.writerows(dictionary_rows())
    return text.getvalue()


def dictionary_markdown() -> str:
    """The dictionary as Markdown: one table per exported table, each below its heading."""
    parts = []
    for name, exported in EXPORTED.items():
        lines = [f"### {name.capitalize()}", "", f"Schema `{exported.schema}`.", ""]
        lines += ["| Column | Type | Unit | Meaning | No value means |", "| --- | --- | --- | --- | --- |"]
        for column in exported.columns:
            _, kind, unit, description, null = _fields(column)
            cells = (f"`{column.name}`", kind, unit or "none", description, null or "always there")
            lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
