from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.comparison.nuclei import FIELD_VALUES, NUCLEUS_VALUES, VALUES_COUNT, describe_nuclei

Field = NDArray[np.uint8]


def _field(*axes_px: tuple[int, int]) -> Field:
    """Purple ellipses on light paper, one per pair of half axes."""
    field = np.full((224, 224, 3), (236, 232, 238), np.uint8)
    for number, axes in enumerate(axes_px):
        cv2.ellipse(field, (45 + 65 * number, 110), axes, 0, 0, 360, (110, 50, 140), cv2.FILLED)
    return field


def _mean(field: Field) -> dict[str, float]:
    return dict(zip(NUCLEUS_VALUES, describe_nuclei(field).tolist(), strict=False))


def _whole(field: Field) -> dict[str, float]:
    return dict(zip(FIELD_VALUES, describe_nuclei(field)[-len(FIELD_VALUES) :].tolist(), strict=True))


def test_a_disc_is_round_and_as_large_as_it_is() -> None:
    disc = _mean(_field((20, 20)))
    assert disc["area"] == pytest.approx(np.pi * 20**2, rel=0.05)
    assert disc["roundness"] > 0.85
    assert disc["solidity"] > 0.95
    assert disc["eccentricity"] < 0.3


def test_a_long_nucleus_is_less_round_and_more_eccentric() -> None:
    disc, long = _mean(_field((20, 20))), _mean(_field((30, 12)))
    assert long["roundness"] < disc["roundness"]
    assert long["eccentricity"] == pytest.approx(np.sqrt(1 - (12 / 30) ** 2), abs=0.05)


def test_nuclei_are_counted() -> None:
    assert _whole(_field((20, 20), (12, 12), (16, 16)))["count"] == 3


def test_a_field_without_nuclei_is_all_zeros() -> None:
    assert not describe_nuclei(_field()).any()
    assert describe_nuclei(_field()).shape == (VALUES_COUNT,)


def test_a_plain_nucleus_is_not_coarse_for_its_border() -> None:
    assert _mean(_field((25, 25)))["coarseness"] < 1


def test_speckled_chromatin_is_coarser() -> None:
    plain = _field((25, 25))
    speckled = plain.copy()
    dots = np.kron(np.random.default_rng(0).random((56, 56)) < 0.3, np.ones((4, 4))) > 0
    speckled[dots & (plain[..., 1] < 100)] = 90, 40, 140
    assert _mean(speckled)["coarseness"] > _mean(plain)["coarseness"] + 0.5
