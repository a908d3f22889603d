"""A report as PDF and CSV."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from pypdf import PdfReader

from edge_agent.catalogue import catalogue, languages
from edge_agent.contracts import LabelShare, Report, Specimen, Topics
from edge_agent.reports.csv_table import COLUMNS, report_csv
from edge_agent.reports.pdf import report_pdf
from edge_agent.reports.wording import share_words
from edge_agent.specimens.cell_tally import CellTally
from edge_agent.specimens.statement import statement
from edge_agent.specimens.tally import Tally
from tests.slides import CELLS_MODEL, MODEL, TYPES, differential, failed, judged, refused, result_of, unsure
from tests.unit.contracts.test_contracts import UNITS

A4_PT = (595, 842)


@pytest.fixture(scope="module")
def report() -> Report:
    readings = [*[judged(None)] * 6, *[judged(None, label="benign")] * 2, unsure(None), refused(None), failed()]
    tally = Tally(
        specimen=Specimen(id="S-7K3F-92QX", slide=2), began_at=datetime(2026, 11, 29, 9, 5, tzinfo=UTC)
    ).model_copy(update={"wished_fields_count": 12})
    for reading in readings:
        tally = tally.counting(result_of(reading, tally.next_field()), reading.labels)
    tally = tally.counting(result_of(judged(None), tally.next_field(repeats=1)))
    return tally.report(topics=Topics("clinic", "scope-1"), session=uuid4(), model=MODEL)


@pytest.fixture(scope="module")
def with_cells(report: Report) -> Report:
    cells = CellTally().adding(differential(blast=7, lymphocyte=2, refused=1), TYPES)
    found = report.model_copy(update={"differential": cells.differential()})
    return found.model_copy(update={"statement": statement(found, catalogue())})


def read_pdf(report: Report, language: str = "en") -> PdfReader:
    return PdfReader(io.BytesIO(report_pdf(report, catalogue(language))))


def text_of(pdf: PdfReader) -> str:
    # A hash is broken to fit its column.
    return "\n".join(page.extract_text() for page in pdf.pages)


def test_the_pdf_has_everything_that_the_report_says(report: Report) -> None:
    text = text_of(read_pdf(report))
    flat = " ".join(text.split())
    assert report.statement is not None
    assert report.statement in flat
    for part in (
        "S-7K3F-92QX",
        "clinic",
        "scope-1",
        "2026-11-29 09:05:00",
        "Pre-B ALL (malignant)",
        "75.0 %",
        "40.9 to 92.9 %",
        "The nuclei are out of focus.",
        "Error image_unreadable",
        "accurate",
        "1.0.0",
        str(report.software),
        f"Report {report.id}",
    ):
        assert part in flat, part
    assert MODEL.sha256 in "".join(text.split())


@pytest.mark.parametrize("language", languages())
def test_the_pdf_has_the_cells_by_type_with_their_intervals(with_cells: Report, language: str) -> None:
    texts = catalogue(language)
    pdf = read_pdf(with_cells, language)
    flat = " ".join(text_of(pdf).split())
    for part in (
        statement(with_cells, texts),
        texts.text("report.cells_counted", cells=10, judged=9, refused=1),
        f"Blast ({texts.text('report.malignant_mark')})",
        "Smudge or other",
        texts.text("report.blasts"),
        texts.text("report.cells_interval_note"),
        CELLS_MODEL.name,
    ):
        assert part in flat, part
    assert with_cells.differential is not None
    _, interval = share_words(with_cells.differential.blasts, texts)
    # Of blasts and of malignant types together, in the statement and in the table.
    assert flat.count(interval) == 4
    assert CELLS_MODEL.sha256 in "".join(flat.split())
    assert len(pdf.pages) <= 2


def test_cells_that_all_were_refused_are_said_in_the_pdf(report: Report) -> None:
    cells = CellTally().adding(differential(refused=3), TYPES)
    flat = " ".join(text_of(read_pdf(report.model_copy(update={"differential": cells.differential()}))).split())
    assert "Judged one by one: 0. Refused: 3." in flat
    assert "Smudge" not in flat


def test_every_page_says_what_the_report_may_be_used_for_and_which_it_is(report: Report) -> None:
    models = tuple(MODEL.model_copy(update={"version": f"1.0.{number}"}) for number in range(32))
    pdf = read_pdf(report.model_copy(update={"models": models}))
    assert len(pdf.pages) > 1
    for number, page in enumerate(pdf.pages, 1):
        text = page.extract_text()
        assert text.count("Research use only. Not a medical device.") == 2
        assert f"Page {number} of {len(pdf.pages)}" in text
        assert str(report.id) in text
        assert (round(page.mediabox.width), round(page.mediabox.height)) == A4_PT


def test_an_ordinary_report_has_one_page(report: Report) -> None:
    assert [len(read_pdf(report, language).pages) for language in languages()] == [1, 1]


def test_title_and_language_are_part_of_the_document(report: Report) -> None:
    pdf = read_pdf(report, "de")
    assert pdf.metadata is not None
    assert pdf.metadata.title == "Bericht über ein Präparat: S-7K3F-92QX, 2"
    assert str(pdf.root_object["/Lang"]) == "de"
    assert "Dieser" not in text_of(read_pdf(report))
    assert "Die Kerne sind unscharf." in " ".join(text_of(pdf).split())
    assert "75,0 %" in text_of(pdf)


def test_the_fonts_are_part_of_the_document(report: Report) -> None:
    for page in read_pdf(report).pages:
        found: Any = page["/Resources"]
        fonts = [font.get_object() for font in found["/Font"].values()]
        # Helvetica is declared on every page by reportlab, and not used.
        embedded = {
            font["/BaseFont"]: "/FontFile2" in font["/FontDescriptor"] for font in fonts if "/ToUnicode" in font
        }
        assert len(embedded) == 2
        assert all(embedded.values())


def test_the_same_report_is_the_same_file(report: Report) -> None:
    assert report_pdf(report, catalogue()) == report_pdf(report, catalogue())


@pytest.mark.parametrize("given", ["demonstration", "provisional"])
def test_what_makes_the_figures_worthless_is_in_a_box_of_its_own(report: Report, given: str) -> None:
    warning = catalogue().text(f"report.statement.{given}")
    assert warning not in " ".join(text_of(read_pdf(report)).split())
    warned = report.model_copy(update={given: True})
    # In the box, and in the statement.
    assert " ".join(text_of(read_pdf(warned)).split()).count(warning) == 2


def test_a_name_is_text_and_never_markup(report: Report) -> None:
    evil = LabelShare(
        label="x",
        name="<b>&amp; 白血病 <img src='/etc/passwd'/>",
        malignant=True,
        fields_count=8,
        ratio=1,
        low_ratio=0.7,
        high_ratio=1,
    )
    text = " ".join(text_of(read_pdf(report.model_copy(update={"labels": (evil,)}))).split())
    assert "<b>&amp; ???" in text


def test_a_report_of_nothing_and_one_of_an_older_release_can_be_written(report: Report) -> None:
    nothing = Tally(specimen=report.specimen, began_at=report.began_at).report(
        topics=Topics("clinic", "scope-1"), session=report.session, model=MODEL
    )
    bare = report.model_dump(mode="json")
    for key in ("site", "judged_count", "labels", "malignant", "models", "software", "scale", "statement"):
        del bare[key]
    for each in (nothing, Report.model_validate(bare)):
        assert "No field was classified." in text_of(read_pdf(each))
        assert report_csv(each, catalogue()).startswith(b"report,")


def test_more_labels_than_a_page_has_room_for_are_all_in_the_pdf(report: Report) -> None:
    labels = tuple(
        LabelShare(label=f"l-{n}", name=f"Label {n}.", malignant=None, fields_count=1, ratio=0.1, low_ratio=0.0,
                   high_ratio=0.4)
        for n in range(80)
    )  # fmt: skip
    text = text_of(read_pdf(report.model_copy(update={"labels": labels})))
    assert min(text.count(f"Label {n}.") for n in range(80)) >= 2, "in the table and in a chart"


def test_the_csv_has_one_row_per_measure_with_its_unit(report: Report) -> None:
    table = report_csv(report, catalogue()).decode()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert tuple(rows[0]) == COLUMNS
    assert {(row["report"], row["specimen"], row["slide"]) for row in rows} == {(str(report.id), "S-7K3F-92QX", "2")}
    values = {(row["measure"], row["of"]): row["value"] for row in rows}
    assert len(values) == len(rows)
    assert values["readings_count", ""] == "12"
    assert values["repeated_count", ""] == "1"
    assert values["outcome_readings_count", "classified"] == "8"
    assert values["reason_readings_count", "blurred"] == "1"
    assert values["label_ratio", "pre-b"] == "0.75"
    assert float(values["malignant_low_ratio", ""]) == pytest.approx(0.40928, abs=1e-5)
    assert values["model_sha256", "accurate"] == MODEL.sha256
    assert values["statement", "en"] == report.statement
    numbers = [name for (name, _), value in values.items() if value.replace(".", "", 1).isdigit()]
    assert all(name.endswith(UNITS) for name in numbers)


def test_the_csv_has_the_cells_by_type(with_cells: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(report_csv(with_cells, catalogue()).decode())))
    values = {(row["measure"], row["of"]): row["value"] for row in rows}
    assert len(values) == len(rows)
    assert (values["found_cells_count", ""], values["judged_cells_count", ""]) == ("10", "9")
    assert values["refused_cells_count", ""] == "1"
    assert (values["type_cells_count", "blast"], values["type_ratio", "blast"]) == ("7", "0.777778")
    assert (values["type_malignant", "blast"], values["type_malignant", "smudge"]) == ("true", "false")
    # As scipy.stats.binomtest(7, 9).proportion_ci(method="wilson") gives it.
    assert float(values["blasts_high_ratio", ""]) == pytest.approx(0.93680, abs=1e-4)
    assert values["cells_model_sha256", "cells"] == CELLS_MODEL.sha256
    assert values["model_sha256", "accurate"] == MODEL.sha256
    numbers = [name for (name, _), value in values.items() if value.replace(".", "", 1).isdigit()]
    assert all(name.endswith(UNITS) for name in numbers)


def test_names_and_numbers_of_the_csv_are_the_same_in_every_language(report: Report) -> None:
    english, german = (report_csv(report, catalogue(language)).decode().splitlines() for language in ("en", "de"))
    assert english[:-1] == german[:-1]
    assert english[-1] != german[-1]


def test_the_csv_needs_no_extra() -> None:
    code = "import sys, edge_agent.reports.csv_table; print('reportlab' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
