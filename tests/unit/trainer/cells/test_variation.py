"""Variation: the same for a seed, none at strength 0, wide at the trained strength, and black stays black."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge_agent.vision.cell_stain import MAX_BLACK_LEVEL, is_cut_out
from tests.unit.trainer.cells.drawn_cells import GLASS, draw_cell
from trainer.cells.windows import variation
from trainer.cells.windows.cut_out import cell_mask
from trainer.cells.windows.variation import STRENGTH, Array, vary

WINDOW = draw_cell(side_px=96, side_um=24.0, centre_um=(12.0, 12.0))
CUT_OUT = draw_cell(side_px=96, side_um=24.0, centre_um=(12.0, 12.0), cut_out=True)


def _variants(window: Array, count: int, strength: float = STRENGTH) -> Iterator[Array]:
    return (vary(window, np.random.default_rng(seed), strength) for seed in range(count))


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(np.uint8, st.tuples(st.integers(8, 40), st.integers(8, 40), st.just(3))),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1.5),
)
def test_any_window_is_varied_the_same_way_by_the_same_seed(window: Array, seed: int, strength: float) -> None:
    before = window.copy()
    one, other = (vary(window, np.random.default_rng(seed), strength) for _ in range(2))
    assert one.shape == window.shape
    assert one.dtype == np.uint8
    assert np.array_equal(one, other)
    assert np.array_equal(window, before)


def test_strength_0_changes_nothing_and_gives_a_new_array() -> None:
    varied = vary(WINDOW, np.random.default_rng(0), 0)
    assert np.array_equal(varied, WINDOW)
    assert not np.shares_memory(varied, WINDOW)


def _spread(strength: float) -> float:
    """How much the colour of the nucleus differs between variants, in levels."""
    colours = [varied[44:52, 44:52].mean(axis=(0, 1)) for varied in _variants(WINDOW, 60, strength)]
    return float(np.std(colours, axis=0).mean())


def test_stronger_variation_spreads_colours_wider() -> None:
    weak, trained, strong = (_spread(strength) for strength in (0.1, STRENGTH, 1.2))
    assert 1 < weak < trained / 2 < trained < strong
    # Nuclei of real laboratories differ by 20 to 30 levels.
    assert 10 < trained < 45


def test_the_nucleus_stays_darker_than_the_glass() -> None:
    for varied in _variants(WINDOW, 100):
        assert varied[44:52, 44:52].mean() < varied[:, 20:24].mean() - 15


def test_some_variants_are_grey_and_most_are_not() -> None:
    grey = []
    for varied in _variants(WINDOW, 400):
        nucleus, glass = varied[44:52, 44:52].mean(axis=(0, 1)), varied[:, 20:24].mean(axis=(0, 1))
        density = np.log(glass / np.maximum(nucleus, 1))
        grey.append(bool(np.ptp(density) < 0.1 * density.mean()))
    assert 0.03 < np.mean(grey) < 0.15


def test_some_variants_are_blurred_and_some_stay_sharp() -> None:
    steps = [
        float(np.abs(np.diff(row)).max() / np.ptp(row))
        for row in (varied[48, :, 1].astype(int) for varied in _variants(WINDOW, 200))
    ]
    assert np.mean([step > 0.9 for step in steps]) == pytest.approx(0.25, abs=0.1)
    assert np.mean([step < 0.6 for step in steps]) == pytest.approx(0.55, abs=0.1)


SIGMAS = ("_MIX_SIGMA", "_STAIN_SIGMA", "_CHANNEL_SIGMA", "_GAMMA_SIGMA", "_TINT_SIGMA")


@pytest.mark.parametrize("alone", [None, *SIGMAS])
def test_each_part_of_the_stain_varies_by_itself(monkeypatch: pytest.MonkeyPatch, alone: str | None) -> None:
    for name in SIGMAS:
        if name != alone:
            monkeypatch.setattr(variation, name, 0.0)
    monkeypatch.setattr(variation, "_GREY_CHANCE", 0.0)
    background = np.array(GLASS, np.float32)
    colours = np.array(
        [
            variation._stain(WINDOW, background, np.random.default_rng(seed), STRENGTH)[[48, 48], [48, 22]]
            for seed in range(50)
        ]
    )
    nucleus, glass = colours.std(axis=0).mean(axis=1)
    assert bool(nucleus > 1) is (alone is not None)
    assert bool(glass > 1) is (alone == "_TINT_SIGMA")


def test_black_around_a_cell_stays_black_and_the_cell_does_not() -> None:
    changed = 0
    for varied in _variants(CUT_OUT, 100):
        assert is_cut_out(varied)
        assert varied[:16].max() <= MAX_BLACK_LEVEL  # beyond the blocks of a JPEG that the cell is in
        changed += not np.array_equal(varied, CUT_OUT)
    assert changed == 100


def test_a_dark_cell_on_black_stays_a_cell() -> None:
    dark = np.where(CUT_OUT > 0, 14, 0).astype(np.uint8)
    before = int(np.count_nonzero(cell_mask(dark)))
    for varied in _variants(dark, 100):
        assert np.count_nonzero(cell_mask(varied)) == pytest.approx(before, rel=0.15)


def test_a_negative_strength_is_refused() -> None:
    with pytest.raises(ValueError, match="strength"):
        vary(WINDOW, np.random.default_rng(0), -0.1)
