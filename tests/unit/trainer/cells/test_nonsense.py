"""Every kind of drawn nonsense is a window, the same for the same seed, and not like the cell it is made of."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.trainer.cells.drawn_cells import draw_cell
from trainer.cells.foreign.nonsense import FITTED, Nonsense, draw
from trainer.cells.windows.cutting import WINDOW_PX


@pytest.mark.parametrize("kind", list(Nonsense))
def test_every_kind_gives_a_window_that_its_seed_decides(kind: Nonsense) -> None:
    cell = draw_cell(side_px=WINDOW_PX)
    before = cell.copy()
    drawn = [draw(kind, cell, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert drawn[0].shape == (WINDOW_PX, WINDOW_PX, 3)
    assert drawn[0].dtype == np.uint8
    assert np.array_equal(drawn[0], drawn[1])
    without_chance = kind in {Nonsense.NEGATIVE, Nonsense.HALVES}
    assert np.array_equal(drawn[0], drawn[2]) == without_chance
    assert np.array_equal(cell, before)
    assert not np.array_equal(drawn[0], cell)


def test_some_kinds_are_kept_to_measure_with() -> None:
    assert set(FITTED) < set(Nonsense)


def test_tiles_show_all_of_the_cell_elsewhere() -> None:
    cell = draw_cell(side_px=WINDOW_PX)
    tiles = draw(Nonsense.TILES, cell, np.random.default_rng(0))
    assert np.array_equal(np.sort(tiles.reshape(-1, 3), axis=0), np.sort(cell.reshape(-1, 3), axis=0))
