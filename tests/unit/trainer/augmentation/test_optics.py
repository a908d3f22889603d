from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cameras.smear import draw_smear
from trainer.augmentation import optics

Field = optics.Field


def _smear() -> Field:
    return draw_smear(np.random.default_rng(0), "pre-b", size_px=(224, 224))[0]


NEUTRAL: dict[str, Callable[[Field], Field]] = {
    "brighten": lambda field: optics.brighten(field, 1.0),
    "white balance": lambda field: optics.white_balance(field, (1, 1, 1)),
    "blur": lambda field: optics.blur(field, 0.0),
    "zoom and rotate": lambda field: optics.zoom_rotate(field, 1.0, 0.0),
    "stain": lambda field: optics.stain(field, (1, 1, 1), (0, 0, 0)),
    "noise": lambda field: optics.noise(field, 0.0, np.random.default_rng(0)),
    "vignette": lambda field: optics.vignette(field, 0.0),
}
STRONG: dict[str, Callable[[Field], Field]] = {
    "brighten": lambda field: optics.brighten(field, 1.5),
    "white balance": lambda field: optics.white_balance(field, (0.5, 1, 2)),
    "blur": lambda field: optics.blur(field, 2.0),
    "zoom and rotate": lambda field: optics.zoom_rotate(field, 0.7, 45.0),
    "stain": lambda field: optics.stain(field, (1.5, 0.5, 1), (0.1, -0.1, 0)),
    "noise": lambda field: optics.noise(field, 20.0, np.random.default_rng(0)),
    "vignette": lambda field: optics.vignette(field, 0.8),
    "jpeg": lambda field: optics.jpeg(field, 10),
    "cover corner": optics.cover_corner,
}


@pytest.mark.parametrize("change", NEUTRAL.values(), ids=NEUTRAL)
def test_the_neutral_parameter_changes_nothing(change: Callable[[Field], Field]) -> None:
    assert np.array_equal(change(_smear()), _smear())


@pytest.mark.parametrize("change", STRONG.values(), ids=STRONG)
def test_a_change_makes_a_new_field_and_leaves_the_old_alone(change: Callable[[Field], Field]) -> None:
    field = _smear()
    changed = change(field)
    assert changed.shape == field.shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, field)
    assert np.array_equal(field, _smear())


@given(st.floats(0, 3), st.integers(0, 255))
def test_brightness_multiplies_and_saturates(factor: float, level: int) -> None:
    bright = optics.brighten(np.full((2, 2, 3), level, np.uint8), factor)
    assert (np.abs(bright - min(level * factor, 255.0)) <= 0.5 + 1e-4 * level).all()


def test_each_channel_has_its_own_gain() -> None:
    assert optics.white_balance(np.full((1, 1, 3), 100, np.uint8), (0.5, 1.0, 1.2)).tolist() == [[[50, 100, 120]]]


def test_zoom_magnifies_about_the_centre() -> None:
    field = np.zeros((101, 101, 3), np.uint8)
    field[40:61, 40:61] = 255
    rows, columns = np.nonzero(optics.zoom_rotate(field, 2.0, 0.0)[..., 0] > 127)
    assert (rows.mean(), columns.mean()) == pytest.approx((50, 50), abs=0.1)
    assert np.ptp(rows) + 1 == pytest.approx(42, abs=1)


def test_a_quarter_turn_goes_anticlockwise() -> None:
    field = _smear()
    np.testing.assert_allclose(optics.zoom_rotate(field, 1.0, 90.0).astype(int), np.rot90(field), atol=1)


def test_blur_keeps_the_mean_and_takes_the_contrast() -> None:
    field = _smear()
    blurred = optics.blur(field, 2.0)
    assert blurred.mean() == pytest.approx(field.mean(), abs=1)
    assert blurred.std() < 0.95 * field.std()


def test_more_dye_is_darker_where_there_is_dye_and_leaves_clear_glass_clear() -> None:
    glass, methylene_blue = [255, 255, 255], [60, 110, 190]
    field = np.array([[glass, methylene_blue]], np.uint8)
    stained = optics.stain(field, (1.5, 1.5, 1.5), (0, 0, 0))
    assert stained[0, 0].tolist() == glass
    assert (stained[0, 1] < methylene_blue).all()


def test_each_dye_takes_its_own_colour_of_light() -> None:
    glass = np.full((1, 1, 3), 255, np.uint8)
    blue_stained = optics.stain(glass, (1, 1, 1), (0.3, 0, 0))[0, 0].astype(int)
    eosin_stained = optics.stain(glass, (1, 1, 1), (0, 0.3, 0))[0, 0].astype(int)
    assert blue_stained.argmin() == 0
    assert eosin_stained.argmin() == 1


def test_noise_has_the_sigma_that_was_asked_for() -> None:
    grey = np.full((224, 224, 3), 128, np.uint8)
    assert optics.noise(grey, 6.0, np.random.default_rng(1)).std() == pytest.approx(6.0, rel=0.02)


def test_vignetting_spares_the_centre_and_takes_its_depth_in_the_corner() -> None:
    shaded = optics.vignette(np.full((225, 225, 3), 200, np.uint8), 0.4)
    assert shaded[112, 112].tolist() == [200, 200, 200]
    assert shaded[0, 0].tolist() == [120, 120, 120]


def test_a_lower_jpeg_quality_is_further_from_the_original() -> None:
    field = _smear()
    errors = [float(np.abs(optics.jpeg(field, quality) - field.astype(float)).mean()) for quality in (95, 50, 10)]
    assert errors == sorted(errors)
    assert 0 < errors[0] < 4


def test_what_was_in_the_corner_is_gone() -> None:
    height, width = optics.CORNER_PX
    field = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    marked = field.copy()
    marked[-height:, -width:] = 0
    covered = optics.cover_corner(marked)
    assert np.array_equal(covered, optics.cover_corner(field))
    assert np.array_equal(covered[:-height], field[:-height])
