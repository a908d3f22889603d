from __future__ import annotations

import io

import numpy as np
import pytest

from edge_agent.cameras.smear import draw_smear
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.familiarity import describe
from trainer.augmentation.plausible import vary_plausibly
from trainer.networks.int8 import preprocess_for, run_int8
from trainer.training.familiarity import fit_familiarity, placeholder_familiarity, to_npz


def correlated(rng: np.random.Generator, count: int, mixing: np.ndarray) -> np.ndarray:
    return np.asarray(rng.normal(size=(count, len(mixing))) @ mixing + 5, np.float32)


def test_distances_of_what_it_was_fitted_on_are_those_of_a_gaussian() -> None:
    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(12, 12)) * np.geomspace(0.01, 10, 12)
    known = fit_familiarity(correlated(rng, 5000, mixing))
    squares = known.distances(correlated(rng, 5000, mixing)) ** 2
    # Chi-squared with 12 degrees of freedom has mean 12 and variance 24; shrinkage reduces both a little.
    assert squares.mean() == pytest.approx(12, rel=0.1)
    assert squares.var() == pytest.approx(24, rel=0.25)


def test_what_lies_off_the_correlation_is_further_than_what_lies_along_it() -> None:
    rng = np.random.default_rng(2)
    along = np.array([1.0, 1.0])
    points = rng.normal(size=(2000, 1)) * along + rng.normal(0, 0.05, (2000, 2))
    known = fit_familiarity(points.astype(np.float32))
    near, far = known.distances(np.array([[2, 2], [2, -2]], np.float32))
    assert near < 3
    assert far > 20


def test_a_value_that_never_varies_does_no_harm_and_is_noticed_when_it_does() -> None:
    rng = np.random.default_rng(3)
    points = correlated(rng, 500, np.eye(3))
    points[:, 1] = 7
    known = fit_familiarity(points)
    assert np.isfinite(known.distances(points)).all()
    changed = points[:1].copy()
    changed[0, 1] = 8
    assert known.distances(changed)[0] > 100


def test_what_was_fitted_survives_its_file() -> None:
    known = fit_familiarity(correlated(np.random.default_rng(4), 300, np.eye(5)))
    with np.load(io.BytesIO(to_npz(known))) as arrays:
        assert (arrays["mean"] == known.mean).all()
        assert (arrays["whitening"] == known.whitening).all()
        assert {array.dtype.name for array in arrays.values()} == {"float32"}


def test_a_bundle_in_the_making_measures_from_nothing() -> None:
    assert placeholder_familiarity(3).distances(np.array([3, 4, 0], np.float32)) == pytest.approx(5)


def test_variants_are_fields_that_their_seed_repeats() -> None:
    field, _ = draw_smear(np.random.default_rng(5), "pre-b")
    before = field.copy()
    variants = [vary_plausibly(field, np.random.default_rng(seed)) for seed in range(60)]
    assert all(variant.shape == field.shape and variant.dtype == np.uint8 for variant in variants)
    assert (vary_plausibly(field, np.random.default_rng(3)) == variants[3]).all()
    assert (field == before).all()
    differ = np.array([np.abs(variant.mean(axis=(0, 1)) - field.mean(axis=(0, 1))).max() for variant in variants])
    # Some nearly unchanged, some clearly under another light.
    assert differ.min() < 2
    assert differ.max() > 20


def test_descriptions_are_by_the_int8_file_on_what_the_device_would_prepare() -> None:
    classifier = Classifier(load_bundle("demo"))
    fields = np.stack([draw_smear(np.random.default_rng(seed), "benign")[0] for seed in range(2)])
    described = run_int8(classifier, fields, "Describing").descriptions
    for field, description in zip(fields, described, strict=True):
        image = preprocess_for(field, classifier)
        assert (description == describe(image, classifier.classify(image).middle_map)).all()
    varied = run_int8(classifier, fields, "Describing", change=vary_plausibly, seed=1).descriptions
    assert (varied == run_int8(classifier, fields, "Describing", change=vary_plausibly, seed=1).descriptions).all()
    assert np.abs(varied - described).max() > 0
