"""Classifies the same held-out pictures by properties other than the cell."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from trainer.site.examples import Examples
from trainer.site.features import SiteFeatures

_TREES = 50


def baseline_values(examples: Examples, features: SiteFeatures) -> Mapping[str, NDArray[np.float64]]:
    """Numbers (n, k) for the pictures by the property that they describe: background colour, image size, camera.

    Image size and camera are left out if they never vary.
    """
    values: dict[str, NDArray[np.float64]] = {"background colour": features.backgrounds.astype(np.float64)}
    if len(np.unique(examples.sizes_px, axis=0)) > 1:
        values["image size"] = examples.sizes_px.astype(np.float64)
    names = sorted({str(each) for each in examples.cameras})
    if len(names) > 1:
        values["camera"] = np.array([[str(each) == name for name in names] for each in examples.cameras], np.float64)
    return MappingProxyType(values)


def forest_answers(
    values: NDArray[np.float64], labels: NDArray[np.int64], folds: NDArray[np.int64], *, seed: int = 0
) -> NDArray[np.int64]:
    """Index (n,) of the class that ``values`` (n, k) alone name, each held out in its fold of ``folds`` (n,).

    The classifier is a small random forest: it should not be better than the head, only find what is easy to find.
    """
    # The import takes half a second.
    from sklearn.ensemble import ExtraTreesClassifier  # noqa: PLC0415 - slow to load

    named = np.zeros(len(labels), np.int64)
    for fold in np.unique(folds):
        held_out = folds == fold
        forest = ExtraTreesClassifier(_TREES, min_samples_leaf=2, random_state=seed, n_jobs=1)
        forest.fit(values[~held_out], labels[~held_out])
        named[held_out] = forest.predict(values[held_out])
    return named


def baseline_answers(
    examples: Examples, features: SiteFeatures, folds: NDArray[np.int64], *, seed: int = 0
) -> Mapping[str, NDArray[np.int64]]:
    """Index (n,) of the class that each baseline names for every picture, held out in the same ``folds`` (n,)."""
    return MappingProxyType(
        {
            name: forest_answers(values, examples.labels, folds, seed=seed)
            for name, values in baseline_values(examples, features).items()
        }
    )


def baseline_counts(
    examples: Examples, features: SiteFeatures, folds: NDArray[np.int64], *, seed: int = 0
) -> dict[str, int]:
    """The number of held-out pictures that each baseline names rightly."""
    answers = baseline_answers(examples, features, folds, seed=seed)
    return {name: int((named == examples.labels).sum()) for name, named in answers.items()}
