"""Middle maps of all variants of the images, computed once and kept on disk while a training is unfinished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from trainer.augmentation.augment import augment
from trainer.augmentation.moderate_shift import shift_moderately
from trainer.augmentation.variants import Vary
from trainer.data.dataset import Dataset, ImageFile
from trainer.data.description import Description
from trainer.networks.frozen_features import Variants, cache_outputs
from trainer.training.options import TrainOptions
from trainer.training.run import (
    CACHE,
)

SHIFTED_VARIANTS = 4
"""Moderately shifted variants of each validation image that early stopping uses."""


class PartData:
    """Fields uint8 (n, 224, 224, 3) and labels int64 (n,) of one part of the split."""

    def __init__(self, dataset: Dataset, files: Sequence[ImageFile], description: Description) -> None:
        index = {file.path: position for position, file in enumerate(dataset.files)}
        self.fields = dataset.fields[[index[file.path] for file in files]]
        self.labels = np.array([description.codes.index(file.label) for file in files], np.int64)


@dataclass(frozen=True, slots=True)
class CachedMaps:
    """Files of middle maps, and of the teacher's logits where there is one: one of each per training variant."""

    train: list[Path]
    teacher_logits: list[Path]
    clean: Path
    shifted: list[Path]


def cache_maps(
    network: keras.Model, training: PartData, validation: PartData, options: TrainOptions, teacher: keras.Model | None
) -> CachedMaps:
    """Compute the frozen layers' outputs and the teacher's logits for all variants; files that exist are kept."""
    cache = Path(options.out) / CACHE
    kept = CachedMaps(
        [cache / f"train-{number:02d}.npy" for number in range(options.variants)],
        [] if teacher is None else [cache / f"taught-{number:02d}.npy" for number in range(options.variants)],
        cache / "validation.npy",
        [cache / f"validation-shifted-{number:02d}.npy" for number in range(SHIFTED_VARIANTS)],
    )
    front = keras.Model(network.input, network.get_layer(options.middle_layer).output)

    def variants(part: PartData, vary: Vary | None, *seed: int) -> Variants:
        return Variants(part.fields, options.preprocessing, options.denoise, vary, (options.seed, *seed))

    cache_outputs({kept.clean: front}, variants(validation, None, 0), "Validation images")
    for number, path in enumerate(kept.shifted):
        cache_outputs({path: front}, variants(validation, shift_moderately, 2, number), "Shifted validation images")
    for number, path in enumerate(kept.train):
        outputs = {path: front}
        if teacher is not None:
            outputs[kept.teacher_logits[number]] = teacher
        cache_outputs(outputs, variants(training, augment, 1, number), f"Variant {number + 1} of {options.variants}")
    return kept
