"""Windows to fit familiarity with: cells of all laboratories, some cut out on black, and things beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.vision.cell_stain import WHITE, is_cut_out, standardise_cell
from tests.unit.trainer.cells.drawn_cells import GLASS, NUCLEUS, RED_CELL, draw_cell, listed
from trainer.cells.foreign.examples import NOTHING, cut_out, draw_cells, draw_foreign
from trainer.cells.foreign.nonsense import FITTED
from trainer.cells.laboratories.sources import Meaning
from trainer.cells.windows.canvases import CANVAS_PX, UM_PER_PIXEL, Canvases
from trainer.cells.windows.cutting import WINDOW_PX, cut_canvas

DENSE = (150, 130, 140)
"""The colour of a red cell that is taken for a nucleus if there is no other."""


def canvas(nucleus_um: float = 10.0, *, beside: tuple[int, int, int] = RED_CELL) -> NDArray[np.uint8]:
    picture = np.full((CANVAS_PX, CANVAS_PX, 3), GLASS, np.uint8)
    for x in (22, 138):
        for y in (22, 138):
            cv2.circle(picture, (x, y), 15, beside, cv2.FILLED)
    cv2.circle(picture, (80, 80), round(nucleus_um / 2 / UM_PER_PIXEL), NUCLEUS, cv2.FILLED)
    return picture


def canvases(kinds: Sequence[tuple[str, Meaning, NDArray[np.uint8]]]) -> Canvases:
    cells = tuple(listed(code, meaning, sha256=str(at)) for at, (code, meaning, _) in enumerate(kinds))
    return Canvases(cells, (np.stack([picture for _, _, picture in kinds]),), (), ("",))


@pytest.fixture(scope="module")
def smears() -> Canvases:
    return canvases(
        [
            *[("north", Meaning.BLAST, canvas(beside=DENSE))] * 3,
            *[("south", Meaning.NEUTROPHIL, canvas(8.0))] * 9,
            ("north", Meaning.NOT_A_CELL, canvas(3.0)),
        ]
    )


def test_cells_are_drawn_from_each_laboratory_alike(smears: Canvases, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    asked = Canvases.__getitem__

    def getitem(self: Canvases, position: int) -> NDArray[np.uint8]:
        drawn.append(self.cells[position].laboratory)
        return asked(self, position)

    monkeypatch.setattr(Canvases, "__getitem__", getitem)
    windows = list(draw_cells(smears, range(12), 120, np.random.default_rng(0)))
    assert {each.shape for each in windows} == {(WINDOW_PX, WINDOW_PX, 3)}
    assert 40 < Counter(drawn)["north"] < 80
    # Some look like those of laboratories that cut cells out on black.
    assert 0.1 < np.mean([is_cut_out(each) for each in windows]) < 0.3


def test_foreign_windows_have_a_nucleus_to_be_mistaken_for_a_cell(smears: Canvases) -> None:
    drawn = list(draw_foreign(smears, range(13), 4, np.random.default_rng(0)))
    counts = Counter(each.kind for each in drawn)
    assert counts.pop(NOTHING) == 1
    assert max(counts.values()) == 4
    assert counts["no cell of north"] == counts["beside cells of north"] == 4
    assert counts["disc"] == 4
    assert set(counts) <= {
        "no cell of north",
        *(f"beside cells of {code}{suffix}" for code in ("north", "south") for suffix in ("", ", varied")),
        *(each.value for each in FITTED),
    }
    images = [standardise_cell(each.window) for each in drawn]
    assert [(image == WHITE).all() for image in images] == [each.kind == NOTHING for each in drawn]


def test_nothing_beside_a_cell_shows_its_nucleus_in_the_middle(smears: Canvases) -> None:
    drawn = draw_foreign(smears, range(3), 4, np.random.default_rng(1))
    beside = [each.window for each in drawn if each.kind == "beside cells of north"]
    assert len(beside) == 4
    for window in beside:
        assert not (window[44:52, 44:52] == NUCLEUS).all(axis=-1).any()


def test_where_cells_lie_on_black_there_is_nothing_beside_them() -> None:
    black = np.zeros((CANVAS_PX, CANVAS_PX, 3), np.uint8)
    cv2.circle(black, (80, 80), 20, NUCLEUS, cv2.FILLED)
    drawn = draw_foreign(canvases([("east", Meaning.BLAST, black)] * 2), range(2), 2, np.random.default_rng(0))
    assert not [each for each in drawn if each.kind.startswith("beside")]


def test_a_field_full_of_nuclei_ends_the_search_for_places() -> None:
    full = np.full((CANVAS_PX, CANVAS_PX, 3), GLASS, np.uint8)
    for x in range(10, CANVAS_PX, 28):
        for y in range(10, CANVAS_PX, 28):
            cv2.circle(full, (x, y), 11, NUCLEUS, cv2.FILLED)
    drawn = draw_foreign(canvases([("west", Meaning.BLAST, full)]), [0], 2, np.random.default_rng(0))
    assert not [each for each in drawn if each.kind.startswith("beside")]


@pytest.mark.parametrize("margin_um", [0.0, 2.0])
def test_a_cell_is_cut_out_with_its_margin(margin_um: float) -> None:
    window = cut_canvas(canvas())
    found = cut_out(window, margin_um)
    assert is_cut_out(found)
    kept = (found > 0).all(axis=-1)
    radius_px = np.sqrt(kept.sum() / np.pi)
    assert radius_px * UM_PER_PIXEL == pytest.approx(5 + margin_um, abs=0.5)
    assert np.array_equal(found[kept], window[kept])


def test_without_a_nucleus_nothing_is_cut_out() -> None:
    flat = np.full((WINDOW_PX, WINDOW_PX, 3), GLASS, np.uint8)
    assert np.array_equal(cut_out(flat, 1.0), flat)


def test_a_drawn_cell_of_the_other_tests_is_one() -> None:
    """Else the tests above would hold of pictures in which nothing is found."""
    assert (standardise_cell(draw_cell(side_px=WINDOW_PX, side_um=24.0, centre_um=(12, 12))) != WHITE).any()
