"""Fills a database for tests of exports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Engine

from edge_agent.collector.writer import Writer
from edge_agent.contracts import OpenContract, Result
from edge_agent.contracts.specimen import SpecimenField
from edge_agent.testing.simulated_readings import SimulatedReadings
from tests.collecting import NOW, make_entry, make_result

SEED = 3


def store(engine: Engine, messages: Sequence[OpenContract]) -> None:
    """Store messages as a collector does."""
    Writer(engine, unreadable_count=10).write([make_entry(each) for each in messages])


def readings(count: int, *, specimen: str | None = "S-7K3F-92QX", slide: int = 1, **changes: object) -> list[Result]:
    """One reading per second, the same in every run; the first 16 have every outcome, and both reasons to abstain."""
    drawn = SimulatedReadings(SEED)
    return [
        make_result(
            seq,
            captured_at=NOW + timedelta(seconds=seq),
            specimen=None if specimen is None else SpecimenField(id=specimen, slide=slide, field=seq + 1),
            **{**drawn.draw(), **changes},
        )
        for seq in range(count)
    ]
