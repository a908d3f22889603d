from __future__ import annotations

from dataclasses import asdict, fields

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from edge_agent.contracts import Measure
from edge_agent.vision.appearance import Appearance, measure_appearance

Array = NDArray[np.uint8]

GREY = (230, 230, 230)
PINK = (220, 150, 150)
PURPLE = (110, 60, 150)


@pytest.fixture
def drawn() -> tuple[Array, Array]:
    """Red cells and one nucleus of known colours on a grey background, and the nucleus' mask."""
    field, mask = np.full((224, 224, 3), GREY, np.uint8), np.zeros((224, 224), np.uint8)
    for x in range(20, 224, 100):
        cv2.circle(field, (x, 30), 12, PINK, cv2.FILLED)
    cv2.circle(field, (112, 130), 25, PURPLE, cv2.FILLED)
    cv2.circle(mask, (112, 130), 25, 255, cv2.FILLED)
    return field, mask


def measured(field: Array, mask: Array) -> Appearance:
    return measure_appearance(field, mask, nucleus_diameter_px=None, red_cell_diameter_px=None)


def lab(rgb: tuple[int, int, int]) -> list[float]:
    return [float(each) for each in cv2.cvtColor(np.full((1, 1, 3), rgb, np.float32) / 255, cv2.COLOR_RGB2LAB)[0, 0]]


def test_every_measure_of_the_contract_is_measured() -> None:
    assert {each.name for each in fields(Appearance)} == {measure.value for measure in Measure}


def test_each_kind_of_cell_has_its_own_colour(drawn: tuple[Array, Array]) -> None:
    found = asdict(measured(*drawn))
    for kind, colour in {"background": GREY, "red_cells": PINK, "nuclei": PURPLE}.items():
        axes = [found[f"{kind}_{axis}_delta_e"] for axis in ("lightness", "redness", "yellowness")]
        assert axes == pytest.approx(lab(colour), abs=0.1)


def test_a_brighter_lamp_changes_neither_sharpness_nor_noise(smear: Array) -> None:
    mask = np.zeros(smear.shape[:2], np.uint8)
    dim, plain = measured((smear * 0.8).round().astype(np.uint8), mask), measured(smear, mask)
    assert dim.sharpness_ratio == pytest.approx(plain.sharpness_ratio, rel=0.1)
    assert dim.noise_ratio == pytest.approx(plain.noise_ratio, rel=0.15)
    assert dim.background_lightness_delta_e is not None
    assert plain.background_lightness_delta_e is not None
    assert dim.background_lightness_delta_e < plain.background_lightness_delta_e - 10


def test_blur_lowers_sharpness_and_noise_raises_noise(smear: Array) -> None:
    mask = np.zeros(smear.shape[:2], np.uint8)
    plain = measured(smear, mask)
    blurred = measured(np.asarray(cv2.GaussianBlur(smear, (0, 0), 2), np.uint8), mask)
    added = np.random.default_rng(1).normal(0, 8, smear.shape)
    noisy = measured(np.clip(smear + added, 0, 255).astype(np.uint8), mask)
    assert plain.sharpness_ratio is not None
    assert blurred.sharpness_ratio is not None
    assert blurred.sharpness_ratio < 0.7 * plain.sharpness_ratio
    assert plain.noise_ratio is not None
    assert noisy.noise_ratio is not None
    assert noisy.noise_ratio > 1.5 * plain.noise_ratio


@given(
    hnp.arrays(np.uint8, (16, 16, 3), elements=st.sampled_from([0, 1, 128, 255])),
    hnp.arrays(np.uint8, (16, 16), elements=st.sampled_from([0, 255])),
)
def test_whatever_a_field_shows_its_figures_are_finite_or_none(field: Array, mask: Array) -> None:
    assert all(value is None or np.isfinite(value) for value in asdict(measured(field, mask)).values())


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_field_has_a_background_and_nothing_else(level: int) -> None:
    found = asdict(measured(np.full((224, 224, 3), level, np.uint8), np.zeros((224, 224), np.uint8)))
    assert {name for name, value in found.items() if value is not None} == {
        "background_lightness_delta_e",
        "background_redness_delta_e",
        "background_yellowness_delta_e",
    }
