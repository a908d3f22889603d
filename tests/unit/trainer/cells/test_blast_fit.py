"""The blast's log-odds: they predict blasts, in natural units, and rely on no single feature."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from trainer.cells.training.blast_fit import BlastModel

CELLS = 3000


def drawn(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (n, 144) of which many predict a little, a dark area that predicts a little, and the truth."""
    rng = np.random.default_rng(seed)
    is_blast = rng.random(CELLS) < 0.3
    features = rng.normal(0, 1, (CELLS, 144)) + is_blast[:, None] * rng.normal(0, 0.3, 144)
    scale, offset = rng.uniform(0.01, 50, 144), rng.normal(0, 100, 144)
    dark = rng.normal(2, 0.5, (CELLS, 1)) + 0.5 * is_blast[:, None]
    return features * scale + offset, dark, is_blast


def test_blasts_are_found_whatever_the_units_of_the_features() -> None:
    features, dark, is_blast = drawn()
    half = CELLS // 2
    model = BlastModel.fit(features[:half], dark[:half], is_blast[:half], np.ones(half))
    found = model.log_odds(features[half:], dark[half:])
    assert roc_auc_score(is_blast[half:], found) > 0.95
    # They are log-odds, so their confidence matches how often they are right.
    assert log_loss(is_blast[half:], 1 / (1 + np.exp(-found))) < 0.3
    assert model.dark_weight > 0


def test_a_feature_that_tells_all_is_not_leant_on_alone() -> None:
    features, dark, is_blast = drawn()
    features[:, 0] = 100.0 * is_blast
    model = BlastModel.fit(features, dark, is_blast, np.ones(CELLS))
    share = np.abs(model.weights * features.std(axis=0))
    assert share[0] < 0.1 * share.sum()


def test_cells_count_as_they_are_weighted() -> None:
    features, dark, is_blast = drawn()
    fewer = BlastModel.fit(features, dark, is_blast, np.where(is_blast, 0.1, 1.0))
    same = BlastModel.fit(features, dark, is_blast, np.ones(CELLS))
    difference = same.log_odds(features, dark) - fewer.log_odds(features, dark)
    assert np.median(difference) == pytest.approx(np.log(10), abs=1.0)


def test_a_feature_that_never_varies_says_nothing() -> None:
    features, dark, is_blast = drawn()
    features[:, 5] = 3.0
    model = BlastModel.fit(features, dark, is_blast, np.ones(CELLS))
    assert np.isfinite(model.log_odds(features, dark)).all()
