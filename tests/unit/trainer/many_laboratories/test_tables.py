"""The published tables agree with the published figures, and a page keeps everything but its tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trainer.many_laboratories.judged_cells import judged, said
from trainer.cells.laboratories.sources import Meaning
from trainer.errors import DataError, OutputUnwritable
from trainer.files import write_json
from trainer.many_laboratories.figures import LaboratoryFigures, mean_estimate, measure_laboratory
from trainer.many_laboratories.laboratory_probe import ProbeRow
from trainer.many_laboratories.page import fill_in, update_page
from trainer.many_laboratories.results import RESULTS, TABLE, Baselines, ManyLaboratories, read_results
from trainer.many_laboratories.table import NOT_MEASURED, render_blocks, render_table

ROOT = Path(__file__).parents[4]
FIGURES = ROOT / "docs" / "figures" / "many-laboratories"
PAGES = ("docs/many-laboratories.md", "README.md")

BLAST, LYMPHOCYTE, NEUTROPHIL, PLATELET = (
    Meaning.BLAST,
    Meaning.LYMPHOCYTE,
    Meaning.NEUTROPHIL,
    Meaning.NOT_A_CELL,
)


@pytest.mark.parametrize("page", PAGES)
def test_a_published_table_is_what_the_published_figures_say(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert "<!-- table: " in text
    assert fill_in(text, render_blocks(read_results(FIGURES)), page) == text


def test_the_published_table_for_cards_is_what_the_published_figures_say() -> None:
    found = read_results(FIGURES)
    path = FIGURES / TABLE
    assert path.exists() is (found is not None)
    assert found is None or path.read_text(encoding="utf-8") == f"{render_table(found)}\n"


def _figures(laboratory: str, *, patients: bool = False, blasts: int = 9, part: str = "test") -> LaboratoryFigures:
    cells = [
        *(said(BLAST, 0.9 - 0.2 * (number == 0), group=f"b{number}" if patients else None) for number in range(blasts)),
        *(said(LYMPHOCYTE, 0.2, group="well" if patients else None) for _ in range(9)),
        *(said(NEUTROPHIL, 0.8, group="well" if patients else None, refusal="unfamiliar") for _ in range(9)),
        said(PLATELET, 0.2, refusal="unfamiliar"),
    ]
    return measure_laboratory(judged(cells, laboratory, part)).figures


@pytest.fixture(scope="module")
def found() -> ManyLaboratories:
    north = measure_laboratory(judged([said(BLAST, 0.9), said(LYMPHOCYTE, 0.1)] * 9, "north"))
    return ManyLaboratories(
        resamples_count=1000,
        seed=0,
        models={},
        left_out=(_figures("north"), _figures("south", patients=True), _figures("healthy", blasts=0)),
        never_trained=(_figures("west", part="all"),),
        mean_blast_auroc=mean_estimate([north], "blast_auroc_ratio"),
        patients=(_figures("south"),),
        random=(),
        baseline=Baselines(
            laboratories=(_figures("north"),),
            blast_inverse_regularisation=1e-3,
            types_inverse_regularisation=1e-2,
            mean_blast_auroc=None,
        ),
        probe=(
            ProbeRow(
                type=None,
                laboratories=("north", "south"),
                cells_count=1234,
                chance_ratio=0.5,
                type_alone_ratio=0.6,
                raw_ratio=0.99,
                bundle_ratio=0.7,
            ),
        ),
    )


def _rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def test_every_table_is_whole_and_says_what_it_could_not_measure(found: ManyLaboratories) -> None:
    blocks = render_blocks(found)
    for name, text in blocks.items():
        rows = _rows(text)
        assert len({len(row) for row in rows}) == 1, name
        assert "None" not in text
        assert "nan" not in text
    assert [row[0] for row in _rows(blocks["blasts"])[2:]] == ["`north`", "`south`"]
    assert [row[0] for row in _rows(blocks["types"])[2:]] == ["`north`", "`south`", "`healthy`", "`west`"]
    assert "`unfamiliar` 9" in blocks["refused"]
    assert "all of these (1,234)" in blocks["probe"]
    assert blocks["short"] == render_table(found)
    south = next(row for row in _rows(blocks["splits"]) if row[:2] == ["`south`", "blasts against the rest, AUROC"])
    assert south[2].startswith("0.9")
    assert south[4] == "-"


def test_an_interval_of_too_few_resamples_is_marked_and_explained(found: ManyLaboratories) -> None:
    blasts = render_blocks(found)["blasts"]
    marked = [row[0] for row in _rows(blasts) if any("†" in cell for cell in row)]
    assert marked == ["`south`"]
    assert "† `south`, 10 patients, 1 of them without blasts: " in blasts
    assert "†" not in render_blocks(found)["refused"]


def test_nothing_measured_is_said_in_every_table() -> None:
    assert set(render_blocks(None).values()) == {NOT_MEASURED}


def test_figures_are_read_again_and_damaged_ones_are_one_error(tmp_path: Path, found: ManyLaboratories) -> None:
    assert read_results(tmp_path) is None
    write_json(tmp_path / RESULTS, found)
    assert read_results(tmp_path) == found
    (tmp_path / RESULTS).write_text("{}")
    with pytest.raises(DataError, match=RESULTS):
        read_results(tmp_path)


BEGIN, END = "<!-- table: one -->\n", "<!-- end of table -->"


@given(st.text(alphabet="ab |\n<>-", max_size=40), st.text(alphabet="ab |\n<>-", max_size=40))
def test_only_what_is_between_the_markers_changes(before: str, after: str) -> None:
    filled = fill_in(f"{before}\n{BEGIN}old\n{END}\n{after}", {"one": "| new |"}, "page.md")
    assert filled == f"{before}\n{BEGIN}\n| new |\n\n{END}\n{after}"
    assert fill_in(filled, {"one": "| new |"}, "page.md") == filled


@pytest.mark.parametrize(
    "text",
    [f"{BEGIN}x\n", f"<!-- table: two -->\nx\n{END}", f"{BEGIN}x\n{BEGIN}y\n{END}"],
    ids=["open", "unknown", "in-another"],
)
def test_a_wrong_marker_is_one_error_and_the_page_stays(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(DataError):
        update_page(page, {"one": "| new |"})
    assert page.read_text() == text


def test_a_page_that_cannot_be_read_or_written_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        update_page(tmp_path / "gone.md", {})
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}{END}")
    (tmp_path / "page.md.part").mkdir()
    with pytest.raises((OutputUnwritable, OSError)):
        update_page(page, {"one": "| new |"})
    assert page.read_text() == f"{BEGIN}{END}"
