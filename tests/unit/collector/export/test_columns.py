from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Boolean, Double, Integer, Text, Uuid

from edge_agent.collector.column_types import UtcDateTime
from edge_agent.collector.export.columns import EXPORTED, USE, ExportedTable, Kind
from edge_agent.collector.export.dictionary import HEADER, dictionary_csv, dictionary_markdown, dictionary_rows
from edge_agent.collector.export.units import unit_of
from edge_agent.contracts import Result

DOCUMENT = Path(__file__).parents[4] / "docs" / "export.md"

TYPES = {
    Kind.TEXT: Text,
    Kind.UUID: Uuid,
    Kind.TIME: UtcDateTime,
    Kind.BOOLEAN: Boolean,
    Kind.INTEGER: (BigInteger, Integer),
    Kind.NUMBER: Double,
}

every_table = pytest.mark.parametrize("exported", EXPORTED.values(), ids=EXPORTED)


@every_table
def test_every_column_of_the_database_is_exported_but_the_message_itself(exported: ExportedTable) -> None:
    names = [column.name for column in exported.columns if column is not USE]
    assert sorted(names) == sorted(column.name for column in exported.table.c if column.name != "payload")


@every_table
def test_types_and_missing_values_are_those_of_the_database(exported: ExportedTable) -> None:
    for column in exported.columns:
        if column is USE:
            continue
        of_database = exported.table.c[column.name]
        if column.kind in TYPES:
            assert isinstance(of_database.type, TYPES[column.kind]), column.name  # type: ignore[arg-type]
        assert (column.null is not None) == of_database.nullable, column.name


@every_table
def test_every_column_says_what_it_means_and_every_figure_its_unit(exported: ExportedTable) -> None:
    plain = {"seq", "slide", "field", "repeats_field"}
    for column in exported.columns:
        assert column.description.endswith("."), column.name
        if column.kind in {Kind.INTEGER, Kind.NUMBER, Kind.NUMBERS, Kind.INTEGERS} and column.name not in plain:
            assert unit_of(column.name) is not None, column.name


def test_a_description_is_that_of_the_contract() -> None:
    descriptions = {column: text for table, column, _, _, text, _ in dictionary_rows() if table == "results"}
    assert descriptions["demonstration"] == Result.model_fields["demonstration"].description


def test_released_columns_stay_where_they_are() -> None:
    released = (
        "use,demonstration,provisional,id,site,device,camera,session,seq,captured_at,received_at,clock_synchronised,"
        "replayed,specimen,slide,field,repeats_field,outcome,reason,error_code,label,malignant,malignant_ratio,"
        "confidence_ratio,unfamiliarity_score,probabilities,focus_score,brightness_pct,nuclei_count,"
        "nuclei_coverage_pct,um_per_pixel,latency_total_ms,latency_ms,model_name,model_version,model_sha256,head_name,"
        "head_version,software,source,image_sha256"
    )
    assert ",".join(column.name for column in EXPORTED["results"].columns).startswith(released)


def test_the_dictionary_is_a_table_of_its_own() -> None:
    read = list(csv.reader(io.StringIO(dictionary_csv(), newline="")))
    assert tuple(read[0]) == HEADER
    assert [tuple(row) for row in read[1:]] == dictionary_rows()


def test_the_documentation_has_the_dictionary_of_this_release() -> None:
    """If this fails: ``python -m edge_agent.collector dictionary`` prints what belongs between the two comments."""
    _, _, rest = DOCUMENT.read_text(encoding="utf-8").partition("<!-- dictionary -->\n\n")
    written, _, _ = rest.partition("\n<!-- end of dictionary -->")
    assert written == dictionary_markdown()
