from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.vision.stain import ABSORBED_LEVELS, absorbed_histograms, density_of, measure_stain, measure_stains

Array = NDArray[np.uint8]

PAPER, PURPLE, PINK = (240, 238, 235), (110, 60, 170), (225, 150, 170)


def halves(left: tuple[int, int, int], right: tuple[int, int, int]) -> Array:
    picture = np.full((64, 64, 3), left, np.uint8)
    picture[:, 48:] = right
    return picture


def test_the_background_has_no_density() -> None:
    stain = measure_stain(halves(PAPER, PURPLE))
    assert stain.background == PAPER
    assert stain.densities(PAPER) == (0, 0, 0)
    assert not stain.nuclear[:, :48].any()


def test_what_absorbs_green_and_lets_blue_pass_is_nuclear() -> None:
    assert (measure_stain(halves(PAPER, PURPLE)).nuclear[:, 48:] > 60).all()


def test_eosin_is_not_nuclear_however_dark_it_is() -> None:
    dark = np.array(PAPER) * np.array((0.7, 0.15, 0.35))
    assert not measure_stain(halves(PAPER, PINK)).nuclear.any()
    assert measure_stain(halves(PAPER, PINK)).nuclear_density(dark.tolist()) < 0


@given(lamp=st.tuples(*[st.floats(0.5, 1.0)] * 3))
def test_the_colour_of_the_lamp_cancels_out(lamp: tuple[float, float, float]) -> None:
    picture = halves(PAPER, PURPLE)
    white, coloured = measure_stain(picture), measure_stain((picture * np.array(lamp)).astype(np.uint8))
    levels = (picture[0, 60] * np.array(lamp)).astype(np.uint8).tolist()
    assert coloured.nuclear_density(levels) == pytest.approx(white.nuclear_density(picture[0, 60].tolist()), abs=0.06)


@given(density=st.floats(0, 3), channel=st.integers(0, 2))
def test_levels_and_densities_are_each_others_reverse(density: float, channel: int) -> None:
    stain = measure_stain(halves(PAPER, PURPLE))
    assert stain.density(stain.level(density, channel), channel) == pytest.approx(density)


def test_the_histogram_counts_every_other_row() -> None:
    counts = measure_stain(halves(PAPER, PURPLE)).absorbed_histogram()
    assert counts.sum() == 32 * 64
    assert counts[0] == 32 * 48
    assert density_of(0) == 0
    assert not counts[ABSORBED_LEVELS:].any()


def test_many_windows_are_measured_as_each_is_alone() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    many = np.stack([halves(PAPER, PURPLE), halves(PAPER, PINK), noise, noise // 2 + 120])
    backgrounds, nuclear = measure_stains(many)
    counts = absorbed_histograms(nuclear)
    for at, window in enumerate(many):
        alone = measure_stain(window)
        assert backgrounds[at] == alone.background
        np.testing.assert_array_equal(nuclear[at], alone.nuclear)
        np.testing.assert_array_equal(counts[at], alone.absorbed_histogram())
