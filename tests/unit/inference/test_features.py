import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.inference.features import FEATURES

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
KINDS = sorted(FEATURES)


def _field(seed: int, rows: int = 14, channels: int = 5, columns: int = 14) -> tuple[Image, Floats]:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 255, (16 * rows, 16 * columns, 3), dtype=np.uint8)
    return image, rng.normal(size=(rows, columns, channels)).astype(np.float32)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_gives_as_many_numbers_as_it_says(name: str) -> None:
    kind = FEATURES[name]
    for channels in (1, 5, 96):
        values = kind.make(*_field(0, channels=channels))
        assert values.shape == (kind.size(channels),)
        assert values.dtype == np.float32


@pytest.mark.parametrize("name", KINDS)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 20), columns=st.integers(1, 20), classes=st.integers(2, 12))
def test_the_mean_of_the_activation_map_is_the_logits(
    name: str, seed: int, rows: int, columns: int, classes: int
) -> None:
    rng = np.random.default_rng(seed)
    found = FEATURES[name].describe(*_field(seed, rows, columns=columns))
    weights = rng.normal(size=(classes, len(found.values))).astype(np.float32)
    bias = rng.normal(size=classes).astype(np.float32)
    shares = found.explain(weights, bias)
    logits = weights @ found.values + bias
    assert shares.shape == (rows, columns, classes)
    # Squares of colours are as large as 16,000, and float32 has seven digits.
    assert np.allclose(shares.mean(axis=(0, 1)), logits, atol=0.02 + 1e-3 * np.abs(logits).max())


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("level", [0, 255])
def test_a_field_of_one_colour_has_finite_features_and_shares(name: str, level: int) -> None:
    found = FEATURES[name].describe(np.full((224, 224, 3), level, np.uint8), np.zeros((14, 14, 5), np.float32))
    assert np.isfinite(found.values).all()
    assert np.isfinite(found.explain(np.ones((2, len(found.values)), np.float32), np.zeros(2, np.float32))).all()


def test_stained_places_near_the_centre_count_more() -> None:
    kind = FEATURES["field-description@2"]
    image = np.full((224, 224, 3), 220, np.uint8)
    image[96:128, 96:128] = (90, 60, 140)
    middle_map = np.zeros((14, 14, 1), np.float32)
    middle_map[6:8, 6:8] = 1
    whole, _, _, _, _, _, _, _, stained = kind.make(image, middle_map)[:9]
    assert whole == pytest.approx(4 / 196)
    assert stained > 0.99
    # A red cell, which lets red light through, is not taken for a nucleus.
    image[96:128, 96:128] = (215, 120, 130)
    assert kind.make(image, middle_map)[8] < 0.5


def test_what_a_released_name_means_stays() -> None:
    image, middle_map = _field(7, channels=2)
    expected = {
        "field-description@1": (0.079, -0.058, 0.952, 0.962, 148.133, 134.655, 132.808, 50.853, 43.727, 44.526),
        "field-description@2": (
            0.079,
            -0.058,
            10.301,
            0.388,
            1.459,
            0.952,
            0.962,
            13.004,
            12.472,
            12.786,
            0.08,
            -0.036,
            6.278,
            -8.008,
            -1.212,
            0.849,
            0.914,
            10.929,
            10.63,
            12.364,
        ),
    }
    for name, values in expected.items():
        # Other processors round differently.
        assert np.allclose(FEATURES[name].make(image, middle_map), values, rtol=0.01, atol=0.01)
