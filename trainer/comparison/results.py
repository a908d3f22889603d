"""What 'trainer compare' found: one row per classifier."""

from __future__ import annotations

from pydantic import Field

from edge_agent.settings import Settings


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
