from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Engine, select, update

from edge_agent.collector.export.columns import EXPORTED, USE, Column, Kind
from edge_agent.collector.export.csv_file import safe_text, write_csv
from edge_agent.collector.export.files import write_table
from edge_agent.collector.export.parquet_file import ROW_GROUP_COUNT, write_parquet
from edge_agent.collector.export.selection import FETCHED_COUNT, Selection, open_reading
from edge_agent.collector.tables import reports, results
from edge_agent.collector.writer import Writer
from tests.collecting import NOW, make_entry, make_event, make_report
from tests.unit.collector.export.stored import readings, store

COLUMNS = {name: exported.columns for name, exported in EXPORTED.items()}


READERS: dict[Kind, Callable[[str], Any]] = {
    Kind.TEXT: lambda cell: cell.removeprefix("'"),
    Kind.UUID: UUID,
    Kind.TIME: datetime.fromisoformat,
    Kind.BOOLEAN: {"true": True, "false": False}.__getitem__,
    Kind.INTEGER: int,
    Kind.NUMBER: float,
}


def from_cell(column: Column, cell: str) -> Any:
    """Read a cell as the dictionary describes."""
    return None if cell == "" else READERS.get(column.kind, json.loads)(cell)


def from_parquet(column: Column, value: Any) -> Any:
    if value is None:
        return None
    match column.kind:
        case Kind.UUID:
            return UUID(value)
        case Kind.NUMBERS | Kind.INTEGERS:
            return dict(value)
        case Kind.DETAILS:
            return json.loads(value)
        case _:
            return value


def export(engine: Engine, name: Any, target: Path, selection: Selection | None = None) -> int:
    with open_reading(engine) as connection:
        return write_table(connection, name, selection or Selection(), target, parquet=target.suffix == ".parquet")


def read_back(name: str, target: Path) -> list[tuple[Any, ...]]:
    columns = COLUMNS[name]
    if target.suffix == ".parquet":
        rows = pq.read_table(target).to_pylist()
        return [tuple(from_parquet(column, row[column.name]) for column in columns) for row in rows]
    with target.open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file, strict=True)
    assert header == [column.name for column in columns]
    return [tuple(from_cell(column, cell) for column, cell in zip(columns, line, strict=True)) for line in lines]


def in_database(engine: Engine, name: str) -> list[tuple[Any, ...]]:
    exported = EXPORTED[name]
    table = exported.table
    query = select(*(table.c[column.name] for column in exported.columns if column is not USE))
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(table.c[exported.time], table.c.id))
        return [("research-only", *row) for row in rows]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_files_rows_equal_the_databases(engine: Engine, tmp_path: Path, suffix: str) -> None:
    store(engine, [*readings(60), *readings(3, specimen=None, demonstration=False, provisional=True)])
    store(engine, [make_event(message="a\r\nb", details={"path": "=1", "n": 1.5, "nothing": None}), make_report()])
    for name in EXPORTED:
        target = tmp_path / f"{name}.{suffix}"
        expected = in_database(engine, name)
        assert export(engine, name, target) == len(expected) > 0
        assert read_back(name, target) == expected


def test_what_is_stored_meanwhile_is_in_the_next_export(engine: Engine, tmp_path: Path) -> None:
    writer = Writer(engine, unreadable_count=10)
    stored, later = readings(3), readings(1, slide=2)
    store(engine, stored)
    with open_reading(engine) as connection:
        connection.execute(select(results.c.id)).all()
        writer.write([make_entry(each) for each in later])
        assert write_table(connection, "results", Selection(), tmp_path / "before.csv") == 3
    assert export(engine, "results", tmp_path / "after.csv") == 4


FULL_WIDTH = "\uff1d\uff0b\uff0d\uff20"
"""Spreadsheets treat these like the ordinary characters."""

CELLS = st.text(max_size=20) | st.sampled_from(
    ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "'=1", '"', "a,b", f"{FULL_WIDTH[0]}1"]
)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=5))
@example([('a"b', "\r\n"), ("'", "''=1")])
def test_any_text_comes_back_and_none_can_run_as_a_formula(rows: list[tuple[str, str]]) -> None:
    columns = [Column("a", Kind.TEXT, "", None), Column("b", Kind.TEXT, "", None)]
    file = io.BytesIO()
    assert write_csv(file, columns, [rows]) == len(rows)
    text = file.getvalue().decode("utf-8")
    _, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    storable = [tuple(cell.replace("\0", "\ufffd") for cell in row) for row in rows]
    assert [tuple(cell.removeprefix("'") for cell in line) for line in lines] == storable
    for line in lines:
        assert not any(cell.startswith(tuple("=+-@\t\r\n" + FULL_WIDTH)) for cell in line)


@given(st.text(st.characters(codec=None, categories=("Cs", "Cc", "L")), max_size=8))
def test_what_has_no_utf_8_is_replaced(text: str) -> None:
    safe_text(text).encode("utf-8")


@given(st.lists(st.tuples(st.none() | CELLS, st.none() | st.floats(allow_nan=False, allow_infinity=False)), max_size=5))
def test_any_value_comes_back_from_parquet(rows: list[tuple[str | None, float | None]]) -> None:
    columns = [Column("a", Kind.TEXT, "", "Nothing."), Column("b_ratio", Kind.NUMBER, "", "Nothing.")]
    file = io.BytesIO()
    write_parquet(file, columns, [rows] if rows else [], {})
    assert [tuple(row.values()) for row in pq.read_table(pa.BufferReader(file.getvalue())).to_pylist()] == rows


def test_lines_end_as_rfc_4180_says() -> None:
    file = io.BytesIO()
    write_csv(file, [Column("a", Kind.TEXT, "", None), Column("b", Kind.TEXT, "", "None.")], [[("x\ny", None)]])
    assert file.getvalue() == b'a,b\r\n"x\ny",\r\n'


def test_parquet_says_what_it_is(sqlite_engine: Engine, tmp_path: Path) -> None:
    store(sqlite_engine, readings(2))
    target = tmp_path / "results.parquet"
    export(sqlite_engine, "results", target, Selection(since=NOW, site="north-clinic"))
    schema = pq.read_schema(target)
    about = schema.metadata
    assert about[b"schema"] == b"leukoscope/export/results/v1"
    assert about[b"use"] == b"research-only"
    assert about[b"software"].startswith(b"leukoscope ")
    assert (about[b"selected_from"], about[b"selected_site"]) == (b"2026-11-29T12:00:00+00:00", b"north-clinic")
    latency = schema.field("latency_total_ms")
    assert latency.metadata[b"unit"] == b"ms"
    assert latency.metadata[b"null"] == b"The device did not measure it."
    for column in COLUMNS["results"]:
        assert schema.field(column.name).metadata[b"description"].decode() == column.description


def test_parquet_has_row_groups_and_dictionaries() -> None:
    columns = [Column("a", Kind.TEXT, "", None, repeats=True), Column("b", Kind.TEXT, "", None)]
    file = io.BytesIO()
    groups: list[Sequence[tuple[str, str]]] = [[("same", str(n)) for n in range(FETCHED_COUNT)]] * 30
    assert write_parquet(file, columns, groups, {}) == 30 * FETCHED_COUNT
    written = pq.ParquetFile(pa.BufferReader(file.getvalue())).metadata
    assert [written.row_group(n).num_rows for n in range(written.num_row_groups)] == [ROW_GROUP_COUNT, 10_000]
    assert "RLE_DICTIONARY" in written.row_group(0).column(0).encodings
    assert "RLE_DICTIONARY" not in written.row_group(0).column(1).encodings


def test_a_count_that_parquet_cannot_hold_does_not_stop_the_rest(sqlite_engine: Engine, tmp_path: Path) -> None:
    store(sqlite_engine, [make_report(), make_report()])
    with sqlite_engine.begin() as connection:
        first = connection.scalar(select(reports.c.id).limit(1))
        connection.execute(update(reports).where(reports.c.id == first).values(labels_count={"pre-b": 10**30, "b": 1}))
    export(sqlite_engine, "reports", tmp_path / "reports.parquet")
    labels = [dict(row["labels_count"]) for row in pq.read_table(tmp_path / "reports.parquet").to_pylist()]
    assert {"pre-b": None, "b": 1} in labels
    assert {"benign": 2} in labels


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_empty_selection_makes_a_file_with_its_columns(sqlite_engine: Engine, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"nothing.{suffix}"
    assert export(sqlite_engine, "results", target) == 0
    assert read_back("results", target) == []


def test_ranges_that_meet_share_no_row_and_leave_none_out(engine: Engine, tmp_path: Path) -> None:
    store(engine, readings(10))
    middle = NOW + timedelta(seconds=4)
    before, after = tmp_path / "before.csv", tmp_path / "after.csv"
    assert export(engine, "results", before, Selection(since=NOW, until=middle)) == 4
    assert export(engine, "results", after, Selection(since=middle)) == 6
    assert read_back("results", before) + read_back("results", after) == in_database(engine, "results")


def test_a_file_is_whole_or_not_there(sqlite_engine: Engine, tmp_path: Path) -> None:
    store(sqlite_engine, readings(3))
    target = tmp_path / "results.csv"
    target.write_text("the one before")
    with sqlite_engine.begin() as connection:
        # No collector writes this: the last row cannot be read.
        connection.exec_driver_sql("UPDATE results SET probabilities = '{' WHERE seq = 2")
    with pytest.raises(json.JSONDecodeError):
        export(sqlite_engine, "results", target)
    assert target.read_text() == "the one before"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_times_are_utc_to_the_microsecond(sqlite_engine: Engine, tmp_path: Path) -> None:
    store(sqlite_engine, readings(1))
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    with sqlite_engine.begin() as connection:
        connection.execute(update(results).values(received_at=moment))
    export(sqlite_engine, "results", tmp_path / "results.csv")
    assert "2026-01-02T03:04:05.678901Z" in (tmp_path / "results.csv").read_text()


def test_a_demonstration_is_marked_in_every_row(sqlite_engine: Engine, tmp_path: Path) -> None:
    store(sqlite_engine, readings(5, demonstration=True, provisional=True))
    export(sqlite_engine, "results", tmp_path / "results.csv")
    assert {row[:3] for row in read_back("results", tmp_path / "results.csv")} == {("research-only", True, True)}
