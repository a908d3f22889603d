"""Trains a network's upper layers on a site's pictures, in the folds of the head's cross-validation. Needs TensorFlow.

It is what ``trainer train`` does, with fewer variants and epochs. It starts from ImageNet, since a bundle has none
that could be trained further.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from edge_agent.contracts.manifest import PreprocessingId
from trainer.augmentation.augment import augment
from trainer.augmentation.moderate_shift import shift_moderately
from trainer.augmentation.variants import Vary
from trainer.networks.backbone import load_backbone
from trainer.networks.frozen_features import Variants, cache_outputs, read_outputs
from trainer.networks.network import build_network, set_head
from trainer.site.folds import divide, folds_count
from trainer.site.progress import Progress, each_of, silent
from trainer.spec import FEATURES, LOGITS, middle_layer
from trainer.training.batch_norm import measure_batch_norms
from trainer.training.finetune import TrainingMaps, ValidationMaps, finetune
from trainer.training.head import fit_head
from trainer.training.tail import build_tail, predict

VARIANTS = 6
"""Varied versions of each picture that are trained on in turn."""
SHIFTED_VARIANTS = 2
EPOCHS = 24
ALPHA = 1.0
TUNING_STARTS, TUNING_ENDS = 0.97, 1.0
"""As far as a progress bar is concerned."""
_INNER_FOLDS = 5
"""One of these parts of the training side says when to stop."""

Maps = NDArray[np.float16]


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """n labelled fields, and how they are divided."""

    fields: NDArray[np.uint8]
    """(n, 224, 224, 3) RGB."""
    labels: NDArray[np.int64]
    """(n,)."""
    groups: NDArray[np.int64]
    """(n,): pictures of one group stay together."""
    folds: NDArray[np.int64]
    """(n,): each fold is judged by a network that was trained without it."""
    classes_count: int


def fine_tuned_answers(
    data: Labelled,
    preprocessing: PreprocessingId,
    weights: str,
    *,
    seed: int = 0,
    epochs: int = EPOCHS,
    progress: Progress = silent,
) -> NDArray[np.int64]:
    """Index (n,) of the class that each field is given by its fold's network.

    ``weights`` is an ``.npz`` of MobileNetV2 of width 1.0, or "imagenet". Raises ``WeightsError``, ``RunError`` or
    ``OutputUnwritable``.
    """
    answers = np.zeros(len(data.labels), np.int64)
    with tempfile.TemporaryDirectory(prefix="leukoscope-") as scratch:
        maps = _run_frozen_layers(data.fields, preprocessing, weights, Path(scratch), seed)
        folds = np.unique(data.folds).tolist()
        for fold in each_of(folds, progress, "fine-tuning", TUNING_STARTS, TUNING_ENDS):
            held_out = data.folds == fold
            training = _Training(maps, data, np.flatnonzero(~held_out), seed)
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                tail = training.run(weights, Path(folder), epochs)
            answers[held_out] = predict(tail, maps.clean[held_out])[LOGITS].argmax(axis=1)
    return answers


@dataclass(frozen=True, slots=True, eq=False)
class _Maps:
    """Outputs of the frozen layers, float16 (n, h, w, m) each."""

    clean: Maps
    varied: tuple[Maps, ...]
    """For training."""
    shifted: tuple[Maps, ...]
    """For validation."""


def _run_frozen_layers(
    fields: NDArray[np.uint8], preprocessing: PreprocessingId, weights: str, folder: Path, seed: int
) -> _Maps:
    backbone = load_backbone(ALPHA, weights)
    front = keras.Model(backbone.input, backbone.get_layer(middle_layer(ALPHA)).output)

    def outputs(vary: Vary | None, number: int) -> Maps:
        path = folder / f"{number}.npy"
        variants = Variants(fields, preprocessing.id, preprocessing.denoise, vary, (seed, number))
        cache_outputs({path: front}, variants, "Frozen layers")
        return read_outputs(path)

    return _Maps(
        outputs(None, 0),
        tuple(outputs(augment, 1 + number) for number in range(VARIANTS)),
        tuple(outputs(shift_moderately, 1 + VARIANTS + number) for number in range(SHIFTED_VARIANTS)),
    )


class _Training:
    """Trains the layers behind the frozen ones on some of the pictures."""

    def __init__(self, maps: _Maps, data: Labelled, own: NDArray[np.intp], seed: int) -> None:
        self._maps = maps
        self._labels = data.labels
        self._classes_count = data.classes_count
        self._seed = seed
        labels, groups = data.labels[own], data.groups[own]
        parts = max(2, min(_INNER_FOLDS, folds_count(labels, groups)))
        stops = divide(labels, groups, parts, seed) == 0
        self._train, self._stop = own[~stops], own[stops]

    def run(self, weights: str, folder: Path, epochs: int) -> keras.Model:
        """From the pooled features' best linear classifier, as ``trainer train`` starts; files go to ``folder``."""
        keras.utils.set_random_seed(self._seed)
        middle = middle_layer(ALPHA)
        network = build_network(load_backbone(ALPHA, weights), self._classes_count, middle)
        measure_batch_norms(network, middle, self._maps.varied[0][self._train])
        tail = build_tail(network, middle)
        self._fit_last_layer(network, tail)
        training = TrainingMaps(
            [_keep(folder / f"train-{i}.npy", each[self._train]) for i, each in enumerate(self._maps.varied)],
            [np.eye(self._classes_count, dtype=np.float32)[self._labels[self._train]]] * VARIANTS,
            self._weights(),
        )
        validation = ValidationMaps(
            _keep(folder / "clean.npy", self._maps.clean[self._stop]),
            [_keep(folder / f"shifted-{i}.npy", each[self._stop]) for i, each in enumerate(self._maps.shifted)],
            self._labels[self._stop],
        )
        finetune(tail, training, validation, folder / "checkpoint.npz", epochs=epochs, seed=self._seed)
        return tail

    def _fit_last_layer(self, network: keras.Model, tail: keras.Model) -> None:
        features = np.concatenate([predict(tail, each[self._train])[FEATURES] for each in self._maps.varied])
        known = np.tile(self._labels[self._train], VARIANTS)
        stop = predict(tail, self._maps.clean[self._stop])[FEATURES], self._labels[self._stop]
        head, _ = fit_head((features, known), stop)
        set_head(network, head.coefficients, head.intercept)

    def _weights(self) -> NDArray[np.float32]:
        """Classes weigh the same whatever their size."""
        labels = self._labels[self._train]
        counts = np.bincount(labels, minlength=self._classes_count)
        return np.asarray(len(labels) / self._classes_count / counts[labels], np.float32)


def _keep(path: Path, maps: Maps) -> Path:
    np.save(path, maps)
    return path
