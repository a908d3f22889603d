"""A comparison as a table."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from trainer.comparison.results import Comparison, Row
from trainer.reports.markdown import interval, percent, table

COMPARISON = "comparison.json"
TABLE = "comparison.md"
HEADINGS = ("classifier", "sees", "validation", "validation, shifted", "test", "test, shifted", "size", "latency")


def to_markdown(found: Comparison) -> str:
    """The table, for documentation."""
    return table(HEADINGS, *(tuple(cells(row)) for row in found.rows))


def cells(row: Row) -> Iterator[str]:
    """A row as text; the reason where it was not measured."""
    yield from (row.name, row.sees)
    if row.reason is not None:
        yield from (f"not measured: {row.reason}", *["-"] * 5)
        return
    yield from (percent(row.validation_ratio), percent(row.validation_shifted_ratio))
    for ratio, span in (
        (row.test_ratio, row.test_interval_ratio),
        (row.test_shifted_ratio, row.test_shifted_interval_ratio),
    ):
        yield f"{percent(ratio)} ({interval(span)})" if span else percent(ratio)
    yield "-" if row.size_bytes is None else f"{row.size_bytes / 1e6:.2f} MB"
    yield "-" if row.latency_ms is None else f"{row.latency_ms:.1f} ms"


def show_comparison(found: Comparison, stdout: Console) -> None:
    """The table, in the order of the rows."""
    counts = ", ".join(f"{count} {part}" for part, count in found.images_count.items())
    stdout.print(f"{found.dataset}: {counts} images; {found.variants_count} variants, {found.epochs_count} epochs")
    table = Table(*HEADINGS)
    for row in found.rows:
        table.add_row(*cells(row))
    stdout.print(table)
