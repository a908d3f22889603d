"""What is a nucleus and what is not, on drawn fields whose content is known."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.vision.cells import find_cells
from edge_agent.vision.nuclei import LOBES_MAX_GAP_RATIO, Nucleus, join_lobes
from edge_agent.vision.touching import outlines

Array = NDArray[np.uint8]
Colour = tuple[int, int, int]

PAPER: Colour = (240, 238, 235)
RED_CELL: Colour = (225, 175, 180)
NUCLEUS: Colour = (110, 60, 170)
RADIUS = 10
"""Radius of a red cell."""


def smear(colour: Colour = RED_CELL, paper: Colour = PAPER) -> Array:
    """Thirty red cells on paper, 240 x 320 px, with room in the lower half."""
    picture = np.full((240, 320, 3), paper, np.uint8)
    for number in range(30):
        cv2.circle(picture, (20 + 31 * (number % 10), 20 + 31 * (number // 10)), RADIUS, colour, -1)
    return picture


def with_discs(picture: Array, *discs: tuple[int, int, int], colour: Colour = NUCLEUS) -> Array:
    changed = picture.copy()
    for x, y, radius in discs:
        cv2.circle(changed, (x, y), radius, colour, -1)
    return changed


def nuclei(picture: Array) -> Sequence[Nucleus]:
    return find_cells(np.asarray(cv2.medianBlur(picture, 3), np.uint8)).segmentation.nuclei


def test_a_nucleus_has_its_place_and_area() -> None:
    (found,) = nuclei(with_discs(smear(), (150, 170, 15)))
    assert found.area_px == pytest.approx(np.pi * 15**2, rel=0.08)
    assert found.centre_px == pytest.approx((150.5, 170.5), abs=1)


def test_a_squeezed_view_gives_the_areas_of_the_specimen() -> None:
    whole = with_discs(smear(), (150, 170, 15))
    squeezed = cv2.resize(whole, (240, 240), interpolation=cv2.INTER_AREA)
    found = find_cells(np.asarray(squeezed, np.uint8), pixel_aspect=4 / 3).segmentation.nuclei
    assert [nucleus.area_px for nucleus in found] == [pytest.approx(np.pi * 15**2, rel=0.08)]


@pytest.mark.parametrize("colour", [RED_CELL, (150, 30, 110), (200, 90, 120), (150, 140, 145), (210, 170, 130)])
@pytest.mark.parametrize("paper", [PAPER, (190, 205, 120), (130, 200, 140), (120, 190, 215)])
def test_red_cells_are_never_nuclei(colour: Colour, paper: Colour) -> None:
    seen = tuple(round(level * of_paper / 240) for level, of_paper in zip(colour, paper, strict=True))
    assert not nuclei(smear((seen[0], seen[1], seen[2]), paper))


@pytest.mark.parametrize("colour", [RED_CELL, (210, 150, 160), (190, 185, 190)])
@pytest.mark.parametrize("paper", [PAPER, (190, 205, 120), (130, 200, 140), (120, 190, 215)])
def test_a_nucleus_is_found_in_any_light(colour: Colour, paper: Colour) -> None:
    picture = with_discs(smear(colour), (150, 170, 15), (220, 180, 12))
    lit = (picture * (np.array(paper) / 240)).astype(np.uint8)
    assert len(nuclei(lit)) == 2


def test_platelets_are_too_small() -> None:
    assert not nuclei(with_discs(smear(), (60, 150, 4), (120, 160, 5), (200, 150, 4)))


def test_the_edge_may_cut_a_nucleus() -> None:
    (found,) = nuclei(with_discs(smear(), (150, 243, 14)))
    assert found.is_cut(240, 320)


def test_lobes_of_one_nucleus_count_once() -> None:
    (found,) = nuclei(with_discs(smear(), (150, 160, 7), (167, 164, 7), (158, 178, 7)))
    assert len(found.contours) == 3


def test_nuclei_apart_are_not_joined() -> None:
    assert len(nuclei(with_discs(smear(), (150, 160, 9), (190, 160, 9)))) == 2


def test_touching_nuclei_count_twice() -> None:
    assert len(nuclei(with_discs(smear(), (150, 170, 15), (176, 170, 14)))) == 2


def test_pale_and_dark_nuclei_are_both_found() -> None:
    picture = with_discs(smear(), (60, 170, 14), (100, 180, 13), colour=(80, 30, 130))
    assert len(nuclei(with_discs(picture, (200, 170, 15), colour=(130, 65, 180)))) == 3


def test_red_ink_is_no_nucleus() -> None:
    picture = with_discs(smear(), (150, 170, 15))
    cv2.rectangle(picture, (260, 220), (310, 234), (200, 20, 30), -1)
    assert len(nuclei(picture)) == 1


UNFIT: dict[str, Array] = {
    "black": np.zeros((240, 320, 3), np.uint8),
    "white": np.full((240, 320, 3), 255, np.uint8),
    "all nuclear stain": np.full((240, 320, 3), NUCLEUS, np.uint8),
    "grey": np.asarray(cv2.cvtColor(cv2.cvtColor(smear(), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8),
    "noise on paper": np.random.default_rng(0).normal(PAPER, 4, (240, 320, 3)).clip(0, 255).astype(np.uint8),
    "overstained": (smear().astype(float) * (0.35, 0.2, 0.3)).astype(np.uint8),
}


@pytest.mark.parametrize("name", UNFIT)
def test_nothing_is_found_where_nothing_is(name: str) -> None:
    assert not nuclei(UNFIT[name])


@given(height=st.integers(3, 60), width=st.integers(3, 60), seed=st.integers(0, 2**32 - 1))
def test_any_picture_gets_an_answer(height: int, width: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    found = find_cells(picture, pixel_aspect=4 / 3)
    assert found.segmentation.mask.shape == (height, width)
    assert all(0 < nucleus.area_px <= 2 * height * width for nucleus in found.segmentation.nuclei)


@given(turns=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))
def test_the_count_does_not_depend_on_the_way_up(turns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = [(int(x), int(y)) for x, y in zip(rng.permutation([40, 120, 200, 280])[:3], (150, 185, 205), strict=True)]
    picture = with_discs(smear(), *[(x, y, int(rng.integers(11, 16))) for x, y in places])
    assert len(nuclei(np.rot90(picture, turns).copy())) == len(nuclei(picture)) == 3


@given(st.integers(-24, 24), st.integers(-24, 24))
def test_lobes_are_joined_by_the_distance_between_their_outlines(across: int, down: int) -> None:
    parts = []
    for x, y in ((50, 50), (50 + across, 50 + down)):
        mask = np.zeros((100, 100), np.uint8)
        cv2.circle(mask, (x, y), 4, 255, -1)
        parts += outlines(mask)
    one, other = (part[::3, 0].astype(float) for part in parts)
    distance = np.hypot(*(one[:, None] - other).transpose(2, 0, 1)).min()
    assert len(join_lobes(parts, 1.0, 2 * RADIUS)) == (1 if distance <= LOBES_MAX_GAP_RATIO * 2 * RADIUS else 2)
