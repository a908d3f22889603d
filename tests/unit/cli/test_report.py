"""``edge-agent report``: the reports that the device keeps, in a file or on the terminal."""

from __future__ import annotations

import csv
import io
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from pypdf import PdfReader
from typer.testing import CliRunner, Result

from edge_agent.cli.app import app
from edge_agent.contracts import Report, Specimen, Topics
from edge_agent.errors import ConfigError, EdgeAgentError, ReportMissing, SpoolError, WebMissing
from edge_agent.specimens.archive import ReportArchive
from edge_agent.specimens.tally import Tally
from edge_agent.spool import SpoolLimits, SqliteSpool
from tests.slides import MODEL, differential, judged, result_of


@pytest.fixture
def kept(state_folder: Path) -> list[Report]:
    """Two reports in the state folder of a stopped agent, the older one first."""
    spool = SqliteSpool(state_folder, SpoolLimits(max_bytes=2**20, max_age_s=3600, commit_delay_s=0))
    archive = ReportArchive(spool.state_entries)
    reports = []
    for slide in (1, 2):
        tally = Tally(specimen=Specimen(id="S-7K3F-92QX", slide=slide), began_at=datetime.now(UTC))
        reading = judged(None)
        tally = tally.counting(result_of(reading, tally.next_field()), reading.labels)
        reports.append(tally.report(topics=Topics("clinic", "scope-1"), session=uuid4(), model=MODEL))
        spool.write_state_entries(archive.entries_with(reports[-1]))
    spool.close()
    return reports


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["report", *arguments])


def failure(*arguments: str) -> EdgeAgentError:
    done = run(*arguments)
    assert isinstance(done.exception, EdgeAgentError), done.output
    return done.exception


def test_without_an_id_the_reports_are_listed_the_newest_first(kept: list[Report]) -> None:
    lines = run().output.splitlines()
    assert [line.split()[0] for line in lines[:2]] == [str(kept[1].id), str(kept[0].id)]
    assert "S-7K3F-92QX, slide 2: 1 fields judged" in lines[0]
    assert "Research use only" in lines[-1]


def test_the_list_says_how_many_cells_were_judged(state_folder: Path) -> None:
    spool = SqliteSpool(state_folder, SpoolLimits(max_bytes=2**20, max_age_s=3600, commit_delay_s=0))
    tally = Tally(specimen=Specimen(id="S-7K3F-92QX", slide=1), began_at=datetime.now(UTC))
    cells = {"differential": differential(blast=3, lymphocyte=1, refused=2)}
    tally = tally.counting(result_of(judged(None), tally.next_field()).model_copy(update=cells))
    report = tally.report(topics=Topics("clinic", "scope-1"), session=uuid4(), model=MODEL)
    spool.write_state_entries(ReportArchive(spool.state_entries).entries_with(report))
    spool.close()
    assert "1 fields, 4 cells judged" in run().output


@pytest.mark.parametrize("name", ["report.pdf", "report.PDF", "report"])
def test_a_pdf_is_written_by_the_name_of_the_file_or_as_asked_for(
    kept: list[Report], tmp_path: Path, name: str
) -> None:
    out = tmp_path / name
    asked = () if "." in name else ("--format", "pdf")
    done = run(str(kept[0].id), *asked, "--out", str(out), "--language", "de")
    assert done.exit_code == 0, done.output
    assert "Bericht" in PdfReader(out).pages[0].extract_text()


def test_the_end_of_an_id_is_enough(kept: list[Report]) -> None:
    done = run(str(kept[1].id)[-8:])
    assert done.exit_code == 0
    assert Report.model_validate_json(done.output).id == kept[1].id


def test_a_table_goes_to_the_terminal(kept: list[Report]) -> None:
    rows = list(csv.DictReader(io.StringIO(run(str(kept[0].id), "--format", "csv").output)))
    assert {row["report"] for row in rows} == {str(kept[0].id)}


def test_a_report_that_is_not_kept_is_one_clear_error(kept: list[Report]) -> None:
    assert isinstance(failure("0000"), ReportMissing)
    assert isinstance(failure(""), ReportMissing)


def test_a_device_that_has_no_spool_says_so() -> None:
    assert isinstance(failure(), SpoolError)


def test_nothing_finished_is_no_error(state_folder: Path) -> None:
    SqliteSpool(state_folder, SpoolLimits(max_bytes=2**20, max_age_s=3600, commit_delay_s=0)).close()
    done = run()
    assert (done.exit_code, done.output) == (0, "No slide has been finished on this device.\n")


def test_what_cannot_be_written_is_refused_before_anything_is(
    kept: list[Report], state_folder: Path, tmp_path: Path
) -> None:
    wanted = str(kept[0].id)
    before = (state_folder / "spool.db").read_bytes()
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    for arguments in (
        (wanted, "--out", str(tmp_path / "loop.csv")),
        (wanted, "--format", "pdf"),
        (wanted, "--out", str(state_folder / "spool.db")),
        (wanted, "--out", str(tmp_path)),
        ("--out", str(tmp_path / "x.pdf")),
        ("--format", "csv"),
    ):
        assert isinstance(failure(*arguments), ConfigError), arguments
    assert (state_folder / "spool.db").read_bytes() == before
    assert not (tmp_path / "x.pdf").exists()


def test_without_reportlab_it_says_what_to_install(
    kept: list[Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("reportlab", "edge_agent.reports"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "reportlab", None)
    assert isinstance(failure(str(kept[0].id), "--out", str(tmp_path / "x.pdf")), WebMissing)
    assert run(str(kept[0].id), "--format", "csv").exit_code == 0
