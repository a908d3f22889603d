"""Writes Parquet, with the unit and the meaning of each column in the file itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from edge_agent.collector.export.columns import Column, Kind
from edge_agent.collector.export.csv_file import object_text

ROW_GROUP_COUNT = 50_000
"""Rows of a group, which a reader may skip as a whole: about 20 MB in memory."""

_LARGEST = 2**63 - 1

_TYPES: dict[Kind, pa.DataType] = {
    Kind.TEXT: pa.string(),
    Kind.UUID: pa.string(),
    Kind.TIME: pa.timestamp("us", tz="UTC"),
    Kind.BOOLEAN: pa.bool_(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.NUMBERS: pa.map_(pa.string(), pa.float64()),
    Kind.INTEGERS: pa.map_(pa.string(), pa.int64()),
    Kind.DETAILS: pa.string(),
}


def parquet_schema(columns: Sequence[Column], about: Mapping[str, str]) -> pa.Schema:
    """The schema, with ``unit``, ``description`` and ``null`` as metadata of its fields, and ``about`` as its own."""
    return pa.schema([_field(column) for column in columns], metadata=dict(about))


def _field(column: Column) -> pa.Field:
    said = {"description": column.description, "unit": column.unit, "null": column.null or ""}
    metadata = {name: text for name, text in said.items() if text}
    return pa.field(column.name, _TYPES[column.kind], nullable=column.null is not None, metadata=metadata)


def write_parquet(
    file: BinaryIO, columns: Sequence[Column], rows: Iterable[Sequence[Sequence[Any]]], about: Mapping[str, str]
) -> int:
    """Write all rows. Returns their number. ``rows`` come in groups."""
    schema = parquet_schema(columns, about)
    rows_count = 0
    # If all values differ, a dictionary only costs time.
    dictionary = [column.name for column in columns if column.repeats]
    with pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=dictionary) as writer:
        waiting: list[pa.RecordBatch] = []
        waiting_count = 0
        for group in rows:
            waiting.append(_batch(schema, columns, group))
            waiting_count += len(group)
            rows_count += len(group)
            if waiting_count >= ROW_GROUP_COUNT:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting, waiting_count = [], 0
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))
    return rows_count


def _batch(schema: pa.Schema, columns: Sequence[Column], group: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    by_column = zip(*group, strict=True)
    arrays = [
        pa.array([_value(column.kind, value) for value in values], type=schema.field(column.name).type)
        for column, values in zip(columns, by_column, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _value(kind: Kind, value: Any) -> Any:  # noqa: ANN401 - a value of any column
    if value is None:
        return None
    match kind:
        case Kind.UUID:
            return str(value)
        case Kind.NUMBERS:
            return sorted(value.items())
        case Kind.INTEGERS:
            # JSON has no largest integer, but Parquet does.
            return [(name, each if abs(each) <= _LARGEST else None) for name, each in sorted(value.items())]
        case Kind.DETAILS:
            return object_text(value)
        case _:
            return value
