from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from sqlalchemy import Engine, update
from typer.testing import CliRunner, Result

from edge_agent.cli.terminal import EXIT_SOME_UNREAD, EXIT_USAGE, NOTICE
from edge_agent.collector.cli.app import app
from edge_agent.collector.tables import results
from edge_agent.errors import SelectionUnknown
from tests.unit.collector.export.stored import readings, store


@pytest.fixture
def config(sqlite_engine: Engine, tmp_path: Path) -> Path:
    """The configuration of a database with six readings of a slide and two without, one second apart."""
    store(sqlite_engine, [*readings(6), *readings(2, specimen=None)])
    path = tmp_path / "collector.toml"
    path.write_text(f'[database]\nurl = "sqlite:///{sqlite_engine.url.database}"\n')
    return path


def run(config: Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["export", "--config", str(config), *map(str, arguments)])


def test_csv_is_the_default_and_goes_into_a_file(config: Path, tmp_path: Path) -> None:
    done = run(
        config, "--out", tmp_path / "a.csv", "--from", "2026-11-29T12:00:01Z", "--to", "2026-11-29T13:00:03+01:00"
    )
    assert done.exit_code == 0
    assert NOTICE in done.stderr
    with (tmp_path / "a.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2 + 1


def test_standard_output_has_the_rows_only(config: Path) -> None:
    done = run(config, "--out", "-", "--specimen", "S-7K3F-92QX")
    assert len(done.stdout.splitlines()) == 7
    assert "6 results exported" in done.stderr


def test_an_empty_result_is_said_and_is_no_failure(config: Path, tmp_path: Path) -> None:
    done = run(config, "--out", tmp_path / "a.csv", "--from", "2027-01-01")
    assert done.exit_code == 0
    assert "No row matches" in done.stderr
    assert (tmp_path / "a.csv").read_text().startswith("use,")


def test_fhir_goes_into_a_folder_and_says_what_is_left_out(config: Path, tmp_path: Path) -> None:
    done = run(config, "--format", "fhir", "--out", tmp_path / "out", "--transaction")
    assert done.exit_code == 0
    assert "6 readings of 1 slide exported to 1 Bundle in" in done.stderr
    assert "Left out because they belong to no slide: 2 readings." in done.stderr
    bundle = json.loads((tmp_path / "out" / "north-clinic_S-7K3F-92QX_001.json").read_bytes())
    assert bundle["type"] == "transaction"


def test_a_reading_that_fhir_cannot_express_is_said(config: Path, sqlite_engine: Engine, tmp_path: Path) -> None:
    with sqlite_engine.begin() as connection:
        connection.execute(
            update(results).where(results.c.seq == 1).values(outcome="classified", label=" ", demonstration=False)
        )
    done = run(config, "--format", "fhir", "--out", tmp_path / "out")
    assert done.exit_code == EXIT_SOME_UNREAD
    assert "Left out because FHIR cannot express them: 1 reading; the first: reading " in done.stderr


def test_parquet_is_written(config: Path, tmp_path: Path) -> None:
    assert run(config, "--format", "parquet", "--table", "reports", "--out", tmp_path / "a").exit_code == 0
    assert (tmp_path / "a").read_bytes()[:4] == b"PAR1"


def test_an_unknown_site_writes_nothing(config: Path, tmp_path: Path) -> None:
    done = run(config, "--out", tmp_path / "a.csv", "--site", "west-clinic")
    assert isinstance(done.exception, SelectionUnknown)
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "yesterday"], "is no time"),
        (["--from", "2026-11-29", "--to", "2026-11-29"], "--to must be later than --from"),
        (["--to", "0001-01-01T00:00:00+14:00"], "outside of the calendar"),
        (["--out", "-", "--format", "parquet"], "only CSV can go to standard output"),
        (["--format", "fhir", "--table", "events"], "leave --table out"),
        (["--transaction"], "--transaction is for FHIR only"),
        (["--table", "events", "--specimen", "S-7K3F-92QX"], "events belong to no specimen"),
    ],
    ids=["no-time", "empty-range", "before-the-calendar", "stdout", "fhir-table", "transaction", "events"],
)
def test_options_that_make_no_sense_are_refused(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = run(config, *(() if "--out" in arguments else ("--out", tmp_path / "a")), *arguments)
    assert done.exit_code == EXIT_USAGE
    assert message in done.stderr
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(("kind", "beginning"), [("markdown", "### Results"), ("csv", "table,column,type,unit")])
def test_the_dictionary_is_printed(kind: str, beginning: str) -> None:
    done = CliRunner().invoke(app, ["dictionary", "--format", kind])
    assert done.stdout.startswith(beginning)
