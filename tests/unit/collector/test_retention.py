from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select, text

from edge_agent.collector.partitions import partitions_of
from edge_agent.collector.retention import apply_retention
from edge_agent.collector.settings import RetentionSettings
from edge_agent.collector.tables import metadata
from edge_agent.collector.writer import Writer
from tests.collecting import make_entry, make_event, make_metrics, make_report, make_result

NOW = datetime.now(UTC)
WEEK = RetentionSettings(results_days=7, events_days=7, reports_days=7, metrics_days=7)


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def store(engine: Engine, days: float, *, received_days: float | None = None) -> None:
    at, received_at = ago(days), ago(days if received_days is None else received_days)
    bodies = (
        make_result(captured_at=at),
        make_event(at=at),
        make_report(began_at=at, finished_at=at),
        make_metrics(at=at),
    )
    Writer(engine, unreadable_count=10).write([make_entry(body, received_at=received_at) for body in bodies])


def counts(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            table: connection.scalar(select(func.count()).select_from(metadata.tables[table])) or 0
            for table in ("results", "events", "reports", "metrics")
        }


def test_what_is_older_is_deleted_and_what_is_younger_is_kept(engine: Engine) -> None:
    for days in (30, 8.5, 6.5, 0):
        store(engine, days)
    apply_retention(engine, WEEK, NOW)
    assert counts(engine) == dict.fromkeys(("results", "events", "reports", "metrics"), 2)


def test_everything_but_figures_is_kept_for_ever_unless_a_time_is_set(engine: Engine) -> None:
    store(engine, 3000)
    apply_retention(engine, RetentionSettings(), NOW)
    assert counts(engine) == {"results": 1, "events": 1, "reports": 1, "metrics": 0}


@pytest.mark.parametrize("days", [-30 * 365, 50 * 365], ids=["2056", "1976"])
def test_a_row_of_an_absurd_clock_is_as_old_as_its_receipt(engine: Engine, days: float) -> None:
    store(engine, days, received_days=30)
    apply_retention(engine, RetentionSettings(results_days=7, metrics_days=None), NOW)
    assert counts(engine)["results"] == 0


@pytest.mark.parametrize("days", [-14, 50 * 365], ids=["two-weeks-ahead", "1976"])
def test_a_new_row_of_an_absurd_clock_is_kept(engine: Engine, days: float) -> None:
    store(engine, days, received_days=1)
    apply_retention(engine, WEEK, NOW)
    assert counts(engine)["results"] == 1


def test_whole_partitions_are_dropped(postgres_engine: Engine) -> None:
    for days in (30, 9, 1):
        store(postgres_engine, days)
    assert apply_retention(postgres_engine, WEEK, NOW)["results"] == 2
    with postgres_engine.connect() as connection:
        assert list(partitions_of(connection, "results")) == [ago(1).date()]


def test_a_day_whose_partition_was_dropped_can_come_back(postgres_engine: Engine) -> None:
    writer = Writer(postgres_engine, unreadable_count=10)
    late = make_entry(make_result(captured_at=ago(20)))
    writer.write([late])
    apply_retention(postgres_engine, WEEK, NOW)
    assert writer.write([late]).stored_count["results"] == 1


def test_a_reader_who_holds_a_partition_delays_its_end_and_nothing_else(postgres_engine: Engine) -> None:
    store(postgres_engine, 30)
    with postgres_engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM results"))
        assert "results" not in apply_retention(postgres_engine, WEEK, NOW, lock_timeout_s=0.05)
    assert apply_retention(postgres_engine, WEEK, NOW)["results"] == 1
