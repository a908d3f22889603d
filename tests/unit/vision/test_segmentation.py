from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.cameras.smear import SMEAR_LABELS, draw_smear
from edge_agent.vision.cells import find_cells
from edge_agent.vision.preprocessing import DENOISERS, PREPROCESSINGS, preprocess
from edge_agent.vision.segmentation import Segmentation

Array = NDArray[np.uint8]

PURPLE, PINK, PAPER = (110, 60, 170), (225, 190, 195), (240, 238, 235)


def field(*nuclei: tuple[int, int, int]) -> Array:
    """Paper with red cells, and nuclei given as centre x, centre y, radius."""
    picture = np.full((224, 224, 3), PAPER, np.uint8)
    for x, y in ((30, 180), (90, 190), (60, 40), (190, 30), (130, 120)):
        cv2.circle(picture, (x, y), 11, PINK, -1)
    for x, y, radius in nuclei:
        cv2.circle(picture, (x, y), radius, PURPLE, -1)
    return picture


def segmented(picture: Array) -> Segmentation:
    return find_cells(DENOISERS["median3"](picture)).segmentation


def test_nuclei_are_found_counted_and_measured() -> None:
    found = segmented(field((60, 100, 14), (150, 60, 20), (120, 170, 9)))
    assert found.count == 3
    assert sorted(nucleus.area_px for nucleus in found.nuclei) == pytest.approx(
        [np.pi * r * r for r in (9, 14, 20)], rel=0.1
    )
    assert found.coverage_pct == pytest.approx(100 * np.pi * (14**2 + 20**2 + 9**2) / 224**2, rel=0.1)
    assert found.mask[60, 150] == 255
    assert found.mask[10, 10] == 0


@pytest.mark.parametrize("colour", [PAPER, (0, 0, 0), (255, 255, 255), (120, 120, 120)])
def test_an_empty_field_has_no_nuclei(colour: tuple[int, int, int]) -> None:
    found = segmented(np.full((224, 224, 3), colour, np.uint8))
    assert found.count == 0
    assert found.coverage_pct == 0.0
    assert not found.mask.any()


def test_red_cells_alone_are_not_nuclei() -> None:
    assert segmented(field()).count == 0


def test_specks_are_not_nuclei() -> None:
    picture = field((60, 100, 14))
    for x in range(20, 200, 20):
        cv2.circle(picture, (x, 200), 2, PURPLE, -1)
        cv2.circle(picture, (x, 20), 3, PURPLE, -1)
    assert segmented(picture).count == 1


def test_a_burnt_in_scale_bar_is_not_a_nucleus() -> None:
    picture = field((60, 100, 14))
    cv2.rectangle(picture, (180, 200), (220, 206), (200, 20, 120), -1)
    assert segmented(picture).count == 1


def test_a_nucleus_in_the_scale_bars_corner_is_kept() -> None:
    assert segmented(field((60, 100, 14), (200, 200, 16))).count == 2
    assert segmented(field((60, 100, 14), (222, 210, 12))).count == 2


@pytest.mark.parametrize("label", SMEAR_LABELS)
def test_drawn_nuclei_are_where_they_were_drawn(label: str) -> None:
    for seed in range(5):
        picture, truth = draw_smear(np.random.default_rng(seed), label, size_px=(224, 224))
        found = segmented(picture)
        inside = [n for n in truth.nuclei if 5 < n.x_px < 219 and 5 < n.y_px < 219 and n.radius_px > 7]
        hit = [n for n in inside if found.mask[round(n.y_px), round(n.x_px)]]
        assert len(hit) >= 0.8 * len(inside)


@pytest.mark.parametrize("name", PREPROCESSINGS)
@pytest.mark.parametrize("denoise", DENOISERS)
def test_every_preprocessing_gives_an_image_of_the_fields_size(name: str, denoise: str, smear: Array) -> None:
    image = preprocess(smear, name, denoise)
    assert image.shape == smear.shape
    assert image.dtype == np.uint8


def test_rgb_without_denoising_is_the_field_itself(smear: Array) -> None:
    assert (preprocess(smear, "rgb@1", "none") == smear).all()


def test_segmented_keeps_cells_and_blackens_the_rest() -> None:
    picture = field((60, 100, 14))
    image = preprocess(picture, "segmented@2", "none")
    assert tuple(image[100, 60]) == PURPLE
    assert not image[180, 30].any()
    assert not image[10, 10].any()


def test_lab_tells_nuclei_from_paper_on_its_second_channel() -> None:
    image = preprocess(field((60, 100, 14)), "lab@1", "none")
    assert image[100, 60, 1] > image[10, 10, 1] + 20
