"""What 'trainer compare' found: one row per classifier."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from edge_agent.settings import Settings
from trainer.reports.markdown import interval, percent, table

COMPARISON = "comparison.json"
TABLE = "comparison.md"
HEADINGS = ("classifier", "sees", "validation", "validation, shifted", "test", "test, shifted", "size", "latency")


class Row(Settings):
    """One classifier of the table. Null figures where it was not measured; ``reason`` says why."""

    name: str
    sees: str = Field(description="Preprocessing, or what else it is given of a field.")
    validation_ratio: float | None = Field(default=None, description="Right on validation images as they are.")
    validation_shifted_ratio: float | None = Field(default=None, description="The same, moderately shifted.")
    test_ratio: float | None = None
    test_interval_ratio: tuple[float, float] | None = Field(default=None, description="95 % Wilson interval.")
    test_shifted_ratio: float | None = None
    test_shifted_interval_ratio: tuple[float, float] | None = Field(default=None, description="95 %, bootstrap.")
    size_bytes: int | None = None
    latency_ms: float | None = Field(default=None, description="Median, from field to scores, one image at a time.")
    reason: str | None = None


class Comparison(Settings):
    """``comparison.json``."""

    dataset: str
    images_count: dict[str, int]
    variants_count: int
    epochs_count: int
    seed: int
    rows: tuple[Row, ...]


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
