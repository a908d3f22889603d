from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from uuid_utils.compat import uuid7

from edge_agent.collector.partitions import DAYS_AHEAD, DayPartitions, partitions_of
from edge_agent.collector.rows import KEPT_CHARACTERS, Entry, Origin, unreadable_entry
from edge_agent.collector.tables import devices, events, metadata, metrics, reports, results, unreadable
from edge_agent.collector.writer import Writer
from edge_agent.contracts import Specimen, StatusState, Topics
from edge_agent.contracts.specimen import SpecimenField
from edge_agent.errors import DatabaseError
from edge_agent.specimens.cell_tally import CellTally
from tests.collecting import (
    NOW,
    SESSION,
    make_entry,
    make_event,
    make_health,
    make_metrics,
    make_report,
    make_result,
    make_status,
)
from tests.slides import TYPES, differential


@pytest.fixture
def writer(engine: Engine) -> Writer:
    return Writer(engine, unreadable_count=10)


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(metadata.tables[table])) or 0


def test_a_row_says_what_the_message_said(engine: Engine, writer: Writer) -> None:
    result = make_result(
        7, specimen=SpecimenField(id="S-7K3F-92QX", slide=2, field=3), outcome="classified", label="pre-b"
    )
    event, report, figures = make_event(), make_report(), make_metrics()
    writer.write([make_entry(each) for each in (result, event, report, figures)])
    with engine.connect() as connection:
        row = connection.execute(select(results)).one()
        assert (row.id, row.session, row.seq) == (result.id, result.session, 7)
        assert (row.captured_at, row.received_at) == (NOW, NOW)
        assert (row.specimen, row.slide, row.field) == ("S-7K3F-92QX", 2, 3)
        assert (row.outcome, row.label, row.model_name) == ("classified", "pre-b", "simulated")
        assert row.latency_ms == result.latency_ms
        assert row.latency_total_ms == result.latency_ms["total"]
        assert row.probabilities == result.probabilities
        assert row.payload == json.loads(result.to_json())
        assert connection.execute(select(events)).one().details == {"cameras": 1, "path": None}
        stored = connection.execute(select(reports)).one()
        assert (stored.readings_count, stored.high_ratio) == (3, 0.66)
        assert stored.outcomes_count == {"classified": 2, "rejected": 1}
        assert connection.execute(select(metrics)).one().latency_p99_ms == 86.0


def test_the_cells_of_a_reading_and_of_a_slide_have_columns(engine: Engine, writer: Writer) -> None:
    seen = differential(blast=3, lymphocyte=1, refused=2)
    tallied = CellTally().adding(seen, TYPES).differential()
    writer.write([make_entry(make_result(differential=seen)), make_entry(make_report(differential=tallied))])
    with engine.connect() as connection:
        for table in (results, reports):
            row = connection.execute(select(table)).one()
            assert (row.cells_judged_count, row.cells_refused_count, row.blasts_count) == (4, 2, 3)
            assert row.blast_ratio == 0.75
            assert row.types_count == {"blast": 3, "lymphocyte": 1, "smudge": 0}
        assert tallied.blasts.low_ratio == pytest.approx(row.blast_low_ratio)
        assert tallied.blasts.high_ratio == pytest.approx(row.blast_high_ratio)


def test_what_comes_twice_is_stored_once(engine: Engine, writer: Writer) -> None:
    entries = [make_entry(each) for each in (make_result(), make_event(), make_report(), make_metrics())]
    assert writer.write([*entries, *entries]).repeated_count == 4
    again = writer.write(entries)
    assert (again.repeated_count, again.stored_count.total()) == (4, 0)
    assert [count(engine, each) for each in ("results", "events", "reports", "metrics")] == [1, 1, 1, 1]


def test_a_replayed_copy_of_a_stored_result_is_no_second_row(engine: Engine, writer: Writer) -> None:
    result = make_result()
    writer.write([make_entry(result)])
    writer.write([make_entry(result.model_copy(update={"replayed": True}))])
    assert count(engine, "results") == 1


@pytest.mark.parametrize(
    "captured_at",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(2099, 12, 31, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime.now(UTC).replace(microsecond=0) + timedelta(days=14),
        datetime.now(UTC).replace(microsecond=0) - timedelta(days=14),
    ],
    ids=["1970", "year-1", "2099", "year-9999", "two-weeks-ahead", "two-weeks-behind"],
)
def test_a_result_of_an_absurd_clock_is_stored_and_found(engine: Engine, writer: Writer, captured_at: datetime) -> None:
    result = make_result(captured_at=captured_at)
    assert writer.write([make_entry(result)]).stored_count["results"] == 1
    with engine.connect() as connection:
        assert connection.scalar(select(results.c.captured_at).where(results.c.id == result.id)) == captured_at
    assert writer.write([make_entry(result)]).repeated_count == 1


def test_a_message_that_the_database_does_not_take_holds_up_no_other(engine: Engine, writer: Writer) -> None:
    entries = [make_entry(make_result(seq)) for seq in range(20)]
    entries[7] = make_entry(make_result(2**63))
    entries[13] = make_entry(make_result(2**70))
    written = writer.write(entries)
    assert written.refused_count == 2
    assert count(engine, "results") == 18
    with engine.connect() as connection:
        [row, _] = connection.execute(select(unreadable).order_by(unreadable.c.number)).all()
    assert row.kind == "refused"
    assert row.topic == "leukoscope/v1/north-clinic/scope-1/result"
    assert str(2**63) in row.payload


def test_no_error_repeats_what_a_device_sent(engine: Engine) -> None:
    with pytest.raises(SQLAlchemyError) as raised, engine.begin() as connection:
        connection.execute(text("INSERT INTO nowhere VALUES (:specimen)"), {"specimen": "S-7K3F-92QX"})
    assert "S-7K3F-92QX" not in str(raised.value)


def test_null_characters_are_no_way_to_stop_a_collector(engine: Engine, writer: Writer) -> None:
    bad = make_event(message="a\0b", details={"c\0": "d\0"})
    writer.write([make_entry(bad), make_entry(make_event())])
    stored = count(engine, "events"), count(engine, "unreadable")
    assert stored == ((1, 1) if engine.dialect.name == "postgresql" else (2, 0))


def test_a_state_that_the_database_does_not_take_holds_up_no_other(engine: Engine, writer: Writer) -> None:
    writer.write_states(
        [
            make_entry(make_status(code="a\0b")),
            make_entry(make_status(device="scope-2")),
        ]
    )
    with engine.connect() as connection:
        assert "scope-2" in connection.scalars(select(devices.c.device)).all()


def test_what_cannot_be_read_is_kept_up_to_a_limit(engine: Engine, writer: Writer) -> None:
    def bad(number: int) -> Entry:
        origin = Origin(f"leukoscope/v1/a/b/result/{number}", "a", "b", NOW, b"\xff\0" * KEPT_CHARACTERS * 9)
        return unreadable_entry(origin, "damaged", "is no JSON\0")

    writer.write([bad(number) for number in range(300)])
    with engine.connect() as connection:
        rows = connection.execute(select(unreadable).order_by(unreadable.c.number)).all()
    assert [row.topic.rpartition("/")[2] for row in rows] == [str(number) for number in range(290, 300)]
    assert rows[0].size_bytes == 2 * KEPT_CHARACTERS * 9
    assert len(rows[0].payload) == KEPT_CHARACTERS


def newest_of(engine: Engine) -> tuple[UUID, int]:
    with engine.connect() as connection:
        row = connection.execute(select(devices)).one()
    return row.newest_session, row.newest_seq


def backlog(seq: int, session: UUID) -> Entry:
    return make_entry(make_result(seq, session=session, replayed=True))


def test_the_newest_result_of_a_device_is_never_one_of_its_backlog(engine: Engine, writer: Writer) -> None:
    older, newer = sorted([uuid7(), uuid7()])
    writer.write([make_entry(make_result(5, session=newer)), backlog(9, older)])
    writer.write([backlog(99, older), make_entry(make_result(4, session=newer))])
    assert newest_of(engine) == (newer, 5)


def test_a_session_that_looks_older_because_the_clock_was_set_back_is_the_newest(
    engine: Engine, writer: Writer
) -> None:
    looks_older, before = sorted([uuid7(), uuid7()])
    writer.write([make_entry(make_result(7, session=before))])
    writer.write_states([make_entry(make_status(StatusState.LOST, session=before))])
    writer.write([make_entry(make_result(0, session=looks_older))])
    writer.write_states([make_entry(make_status(session=looks_older))])
    assert newest_of(engine) == (looks_older, 0)
    assert state_of(engine)[:2] == ("ready", looks_older)


def state_of(engine: Engine) -> tuple[str, UUID, datetime]:
    with engine.connect() as connection:
        row = connection.execute(select(devices)).one()
    return row.state, row.session, row.status_received_at


def test_an_old_will_is_ignored(engine: Engine, writer: Writer) -> None:
    older, newer = sorted([uuid7(), uuid7()])
    writer.write_states([make_entry(make_status(session=newer))])
    writer.write_states([make_entry(make_status(StatusState.LOST, session=older))])
    assert state_of(engine)[:2] == ("ready", newer)
    writer.write_states([make_entry(make_status(StatusState.LOST, session=newer))])
    assert state_of(engine)[:2] == ("lost", newer)


def test_a_retained_status_that_is_read_again_is_no_sign_of_life(engine: Engine, writer: Writer) -> None:
    status = make_status()
    writer.write_states([make_entry(status)])
    writer.write_states([make_entry(status, received_at=NOW + timedelta(hours=1))])
    assert state_of(engine)[2] == NOW
    later = make_status(at=NOW + timedelta(minutes=1))
    writer.write_states([make_entry(later, received_at=NOW + timedelta(minutes=1))])
    assert state_of(engine)[2] == NOW + timedelta(minutes=1)


def test_what_a_device_says_of_itself_adds_up_in_one_row(engine: Engine, writer: Writer) -> None:
    writer.write([make_entry(make_result(3))])
    writer.write_states([make_entry(make_status()), make_entry(make_health())])
    with engine.connect() as connection:
        row = connection.execute(select(devices)).one()
    assert (row.newest_seq, row.state, row.health_state, row.session) == (3, "ready", "ok", SESSION)
    assert row.health["checks"] == []


def test_a_database_that_lost_its_tables_is_an_error_and_no_message_is_blamed(engine: Engine, writer: Writer) -> None:
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE events"))
    with pytest.raises(DatabaseError, match="events"):
        writer.write([make_entry(make_event())])
    assert count(engine, "unreadable") == 0


def test_days_get_their_partitions_when_they_are_needed_and_ahead(postgres_engine: Engine) -> None:
    writer = Writer(postgres_engine, unreadable_count=10)
    now = datetime.now(UTC)
    writer.partitions.prepare_ahead(now)
    writer.write([make_entry(make_result(captured_at=now - timedelta(days=30)))])
    with postgres_engine.connect() as connection:
        days = partitions_of(connection, "results")
        in_default = connection.scalar(text("SELECT count(*) FROM results_default"))
    ahead = [(now + timedelta(days=each)).date() for each in range(DAYS_AHEAD + 1)]
    assert sorted(days) == [(now - timedelta(days=30)).date(), *ahead]
    assert in_default == 0


def test_clocks_cannot_make_partitions_without_end(postgres_engine: Engine) -> None:
    writer = Writer(postgres_engine, unreadable_count=10)
    absurd = [datetime(year, 1, 1, tzinfo=UTC) for year in range(1971, 2024)]
    writer.write([make_entry(make_result(captured_at=each)) for each in absurd])
    with postgres_engine.connect() as connection:
        assert partitions_of(connection, "results") == {}
        assert connection.scalar(text("SELECT count(*) FROM results_default")) == len(absurd)


def test_rows_of_a_clock_that_ran_ahead_move_when_their_day_gets_its_partition(postgres_engine: Engine) -> None:
    ahead = datetime.now(UTC) + timedelta(days=14)
    writer = Writer(postgres_engine, unreadable_count=10)
    early, other = make_result(captured_at=ahead), make_result(1, captured_at=ahead + timedelta(days=9))
    writer.write([make_entry(early), make_entry(other)])
    writer.partitions.prepare_ahead(ahead)
    with postgres_engine.connect() as connection:
        assert connection.scalars(text(f"SELECT id FROM results_{ahead:%Y%m%d}")).all() == [early.id]  # noqa: S608 - our own name
        assert connection.scalars(text("SELECT id FROM results_default")).all() == [other.id]
    assert writer.write([make_entry(early), make_entry(other)]).repeated_count == 2


def test_a_reader_who_holds_the_table_delays_a_partition_and_no_message(postgres_engine: Engine) -> None:
    writer = Writer(postgres_engine, unreadable_count=10)
    writer.partitions = DayPartitions(postgres_engine, lock_timeout_s=0.05)
    now = datetime.now(UTC)
    with postgres_engine.connect() as reader:
        reader.execute(select(results)).all()
        assert writer.write([make_entry(make_result(captured_at=now))]).stored_count["results"] == 1
    with postgres_engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM results_default")) == 1


def test_a_specimen_is_found_by_its_id(engine: Engine, writer: Writer) -> None:
    report = make_report(specimen=Specimen(id="S-1A2B-3C4D", slide=4))
    writer.write([make_entry(report)])
    with engine.connect() as connection:
        assert connection.scalar(select(reports.c.slide).where(reports.c.specimen == "S-1A2B-3C4D")) == 4


def test_two_sites_may_use_the_same_device_id(engine: Engine, writer: Writer) -> None:
    for site in ("north-clinic", "south-clinic"):
        writer.write([make_entry(make_result(topics=Topics(site, "scope-1")))])
    assert count(engine, "devices") == 2
