import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edge_agent.inference.probabilities import softmax
from trainer.site.fitting import REGULARISATIONS, choose_regularisation, fit_linear
from trainer.site.folds import divide, folds_count


def _blobs(
    classes: int, per_class: int, distance: float, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    centres = rng.normal(size=(classes, 6)) * distance
    scales = np.array([1, 100, 0.01, 1, 1, 1])
    return ((centres[labels] + rng.normal(size=(len(labels), 6))) * scales).astype(np.float32), labels


def _none(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.empty((len(features), 0, features.shape[1]), np.float32)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_probabilities_are_those_of_scikit_learn_on_scaled_features(classes: int) -> None:
    features, labels = _blobs(classes, 20, 1.0)
    ours = softmax(fit_linear(features, _none(features), labels, classes, 0.1).logits(features), 1.0)
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500)).fit(features, labels)
    assert np.allclose(ours, theirs.predict_proba(features), atol=0.01)


def test_a_class_without_an_example_is_never_named() -> None:
    features, labels = _blobs(3, 20, 1.0)
    present = labels != 1
    fitted = fit_linear(features[present], _none(features[present]), labels[present], 3, 1.0)
    assert set(fitted.logits(features).argmax(axis=1)) == {0, 2}
    assert fitted.logits(features)[:, 1].max() < -20


def test_a_feature_that_never_varies_does_no_harm() -> None:
    features, labels = _blobs(2, 20, 3.0)
    features[:, 3] = 7
    fitted = fit_linear(features, _none(features), labels, 2, 1.0)
    assert np.isfinite(fitted.weights).all()
    assert (fitted.logits(features).argmax(axis=1) == labels).mean() > 0.9


def test_noise_is_held_down_and_signal_is_not() -> None:
    noise, labels = _blobs(2, 30, 0.0)
    signal, _ = _blobs(2, 30, 3.0)
    groups = np.arange(60)
    assert choose_regularisation(noise, _none(noise), labels, groups, 2, 0) == REGULARISATIONS[0]
    assert choose_regularisation(signal, _none(signal), labels, groups, 2, 0) == REGULARISATIONS[-1]


def test_with_a_single_group_of_a_class_the_middle_is_taken() -> None:
    features, labels = _blobs(2, 10, 1.0)
    groups = np.where(labels == 0, 0, np.arange(20))
    assert choose_regularisation(features, _none(features), labels, groups, 2, 0) == REGULARISATIONS[2]


def test_a_group_is_in_one_fold_and_every_fold_has_every_class() -> None:
    labels = np.tile([0, 1, 2], 40)
    groups = np.repeat(np.arange(20), 6)
    divided = divide(labels, groups, 5, seed=0)
    assert folds_count(labels, groups) == 20
    assert all(len(set(divided[groups == group])) == 1 for group in range(20))
    assert all(set(labels[divided == fold]) == {0, 1, 2} for fold in range(5))


def test_what_varies_from_day_to_day_is_not_relied_upon() -> None:
    # The first feature gives the label away until the light changes; the second still works, if less well.
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], 100)
    features = (np.stack([labels * 6.0, labels * 3.0], axis=1) + rng.normal(size=(200, 2))).astype(np.float32)
    varied = features[:, None].repeat(6, axis=1)
    varied[:, :, 0] += rng.normal(scale=20, size=(200, 6))
    in_other_light = features + np.array([-6, 0], np.float32)
    with_variants = fit_linear(features, varied, labels, 2, 1.0)
    without = fit_linear(features, _none(features), labels, 2, 1.0)
    assert (with_variants.logits(in_other_light).argmax(axis=1) == labels).mean() > 0.85
    assert (without.logits(in_other_light).argmax(axis=1) == labels).mean() < 0.7
