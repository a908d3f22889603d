"""The classifiers that are compared: of colours and of nuclei, other networks with a linear head, and our own."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from edge_agent.inference import Classifier, load_bundle
from trainer.comparison.nuclei import describe_nuclei
from trainer.errors import WeightsError
from trainer.evaluation.judging import prepare
from trainer.evaluation.shortcuts import histogram
from trainer.export.bundle import uncalibrated_classifier
from trainer.progress import track
from trainer.spec import INPUT_SIZE_PX
from trainer.training.head import Head, fit_head

_TREES = 500
_BATCH = 32

Fields = NDArray[np.uint8]
Scores = NDArray[np.floating]


class Rival(Protocol):
    """A fitted classifier of fields."""

    size_bytes: int

    def scores(self, fields: Fields) -> Scores:
        """Fields uint8 RGB (n, 224, 224, 3) to scores (n, c), of which the largest names the class."""


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Fields uint8 RGB (n, 224, 224, 3) and their classes int64 (n,)."""

    fields: Fields
    labels: NDArray[np.int64]


class Classical:
    """A scikit-learn classifier of numbers that describe a field."""

    def __init__(
        self, describe: Callable[[Fields], NDArray[np.float32]], model: BaseEstimator, material: Material
    ) -> None:
        self._describe = describe
        self._model: Any = model
        values = np.stack([describe(field) for field in track(list(material.fields), "Describing fields")])
        self._model.fit(values, material.labels)
        self.size_bytes = len(pickle.dumps(model))

    def scores(self, fields: Fields) -> Scores:
        """See ``Rival``."""
        values = np.stack([self._describe(field) for field in fields])
        # A support vector machine has no probabilities, but distances that compare as well.
        how = getattr(self._model, "predict_proba", None) or self._model.decision_function
        return np.asarray(how(values))


def colour_histogram(material: Material, seed: int) -> Rival:
    """All colours and no shape."""
    trees = ExtraTreesClassifier(_TREES, min_samples_leaf=2, class_weight="balanced", random_state=seed, n_jobs=-1)
    return Classical(histogram, trees, material)


def support_vectors(material: Material, seed: int) -> Rival:
    """A support vector machine with a Gaussian kernel on nuclei in numbers."""
    machine = make_pipeline(StandardScaler(), SVC(C=10, class_weight="balanced", random_state=seed))
    return Classical(describe_nuclei, machine, material)


def random_forest(material: Material, seed: int) -> Rival:
    """A random forest on nuclei in numbers."""
    forest = RandomForestClassifier(_TREES, min_samples_leaf=2, class_weight="balanced", random_state=seed, n_jobs=-1)
    return Classical(describe_nuclei, forest, material)


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network of Keras' that is used frozen, with a linear head."""

    build: Callable[..., keras.Model]
    to_input: Callable[[NDArray[np.float32]], NDArray[np.float32]]


ARCHITECTURES = {
    "EfficientNetB0": Architecture(keras.applications.EfficientNetB0, keras.applications.efficientnet.preprocess_input),
    "NASNetMobile": Architecture(keras.applications.NASNetMobile, keras.applications.nasnet.preprocess_input),
    "VGG16": Architecture(keras.applications.VGG16, keras.applications.vgg16.preprocess_input),
}


class Transferred:
    """Frozen features of another network, pooled, and the linear head that training starts with here, too."""

    def __init__(self, name: str, weights: str, material: Material, validation: Material) -> None:
        """``weights`` is a Keras weights file without the top, or "imagenet" to download. Raises ``WeightsError``."""
        architecture = ARCHITECTURES[name]
        try:
            self._backbone = architecture.build(
                include_top=False, weights=weights, input_shape=(INPUT_SIZE_PX, INPUT_SIZE_PX, 3), pooling="avg"
            )
        except Exception as error:  # Keras raises a bare Exception when a download fails.
            raise WeightsError(f"cannot load {name} with weights {weights}: {error}") from error
        self._to_input = architecture.to_input
        self._head: Head = fit_head(
            (self._features(material.fields), material.labels),
            (self._features(validation.fields), validation.labels),
        )[0]
        self.size_bytes = 4 * (self._backbone.count_params() + self._head.coefficients.size)

    def scores(self, fields: Fields) -> Scores:
        """See ``Rival``."""
        return self._head.logits(self._features(fields))

    def _features(self, fields: Fields) -> NDArray[np.float32]:
        return np.concatenate(
            [
                np.asarray(
                    self._backbone.predict_on_batch(self._to_input(fields[start : start + _BATCH].astype(np.float32)))
                )
                for start in range(0, len(fields), _BATCH)
            ]
        )


class Int8Network:
    """An int8 file, by the device's own classifier."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self.size_bytes = classifier.bundle.model_path.stat().st_size

    @classmethod
    def of_run(cls, run: Path) -> Self:
        """Of a quantized run. Raises ``TrainerError``."""
        with tempfile.TemporaryDirectory() as folder:
            return cls(uncalibrated_classifier(run, Path(folder)))

    @classmethod
    def of_bundle(cls, name: str) -> Self:
        """Of a shipped bundle's name, or of a folder. Raises ``BundleError``."""
        return cls(Classifier(load_bundle(name)))

    def scores(self, fields: Fields) -> Scores:
        """See ``Rival``."""
        return np.stack([self._classifier.classify(prepare(field, self._classifier)).logits for field in fields])


class Ensemble:
    """Several classifiers' scores, averaged."""

    def __init__(self, members: Sequence[Rival]) -> None:
        self._members = members
        self.size_bytes = sum(member.size_bytes for member in members)

    def scores(self, fields: Fields) -> Scores:
        """See ``Rival``."""
        return np.asarray(np.mean([member.scores(fields) for member in self._members], axis=0))
