"""Classical baselines: classifiers of colours and of measured nuclei."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from trainer.comparison.classifier import ComparedClassifier, Fields, LabelledFields, Scores
from trainer.comparison.nuclei import describe_nuclei
from trainer.evaluation.shortcuts import histogram
from trainer.progress import track

_TREES = 500


class DescriptorClassifier:
    """A scikit-learn classifier of descriptors of a field."""

    def __init__(
        self, describe: Callable[[Fields], NDArray[np.float32]], model: BaseEstimator, training: LabelledFields
    ) -> None:
        self._describe = describe
        self._model: Any = model
        values = np.stack([describe(field) for field in track(list(training.fields), "Describing fields")])
        self._model.fit(values, training.labels)
        self.size_bytes = len(pickle.dumps(model))

    def scores(self, fields: Fields) -> Scores:
        """See ``ComparedClassifier``."""
        values = np.stack([self._describe(field) for field in fields])
        # A support vector machine has no probabilities; its distances can be compared as well.
        how = getattr(self._model, "predict_proba", None) or self._model.decision_function
        return np.asarray(how(values))


def colour_histogram(training: LabelledFields, seed: int) -> ComparedClassifier:
    """Extra trees on the colour histogram: all colours, but no shape."""
    trees = ExtraTreesClassifier(_TREES, min_samples_leaf=2, class_weight="balanced", random_state=seed, n_jobs=-1)
    return DescriptorClassifier(histogram, trees, training)


def support_vectors(training: LabelledFields, seed: int) -> ComparedClassifier:
    """A support vector machine with a Gaussian kernel on measured nuclei."""
    machine = make_pipeline(StandardScaler(), SVC(C=10, class_weight="balanced", random_state=seed))
    return DescriptorClassifier(describe_nuclei, machine, training)


def random_forest(training: LabelledFields, seed: int) -> ComparedClassifier:
    """A random forest on measured nuclei."""
    forest = RandomForestClassifier(_TREES, min_samples_leaf=2, class_weight="balanced", random_state=seed, n_jobs=-1)
    return DescriptorClassifier(describe_nuclei, forest, training)
