"""Latencies as percentiles."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edge_agent.contracts.base import OpenContract

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(ge=0)]


class Percentiles(OpenContract):
    """Latencies of the readings since the metrics before."""

    p50_ms: Positive = Field(description="Half of the readings took at most this long.")
    p95_ms: Positive = Field(description="95 % of the readings took at most this long.")
    p99_ms: Positive = Field(description="99 % of the readings took at most this long.")
    samples_count: Count = Field(description="Number of readings behind the percentiles.")
