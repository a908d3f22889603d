"""'trainer train': frozen ImageNet features, a linear head, and a record of how it was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.augmentation import augment, cover_corner
from trainer.backbone import load_backbone, named_weights, write_weights
from trainer.dataset import Dataset, ImageFile, Unreadable, read_dataset
from trainer.description import Description, load_description
from trainer.errors import RunError
from trainer.features import Vary, pooled_features
from trainer.head import Head, fit_head
from trainer.network import build_network, set_head
from trainer.progress import console
from trainer.run import CONFIG, METRICS, SPLIT, WEIGHTS, RunConfig, TrainOptions, write_json
from trainer.split import Assignment, Part, in_part, read_split, split_dataset, twins_count, write_split


def train(options: TrainOptions) -> None:
    """Train as asked and write the run folder. Raises ``TrainerError``.

    The test images are not looked at: they are for the file that ships.
    """
    out = Path(options.out)
    if (out / CONFIG).exists():
        raise RunError(f"{out} already holds a run.", remedy="Name another --out, or remove it.")
    data = Path(options.data)
    description = load_description(options.description, data)
    dataset = read_dataset(data, description)
    report_unreadable(dataset.unreadable)
    assignments = _split(options, dataset)
    out.mkdir(parents=True, exist_ok=True)
    config = RunConfig.now(options, description, dataset.sha256, len(dataset.files))
    write_json(out / CONFIG, config)
    write_split(out / SPLIT, assignments)

    keras.utils.set_random_seed(options.seed)
    backbone = load_backbone(options.alpha, options.weights)
    validation = _Part(dataset, in_part(assignments, Part.VALIDATION), description)
    validation_features = _features(backbone, validation, options)
    head, trials = fit_head(
        _training_features(backbone, _Part(dataset, in_part(assignments, Part.TRAIN), description), options),
        (validation_features, validation.labels),
    )
    network = build_network(backbone, len(description.classes))
    set_head(network, head.coefficients, head.intercept)
    covered = _features(backbone, validation, options, vary=lambda field, _: cover_corner(field))
    write_weights(out / WEIGHTS, named_weights(network))
    accuracy = _accuracy(head, validation_features, validation.labels)
    write_json(
        out / METRICS,
        {
            "images_count": {part.value: len(in_part(assignments, part)) for part in Part},
            "images_with_twin_count": twins_count(assignments),
            "unreadable": [asdict(each) for each in dataset.unreadable],
            "trials": [asdict(each) for each in trials],
            "validation_accuracy_ratio": accuracy,
            "validation_accuracy_corner_covered_ratio": _accuracy(head, covered, validation.labels),
        },
    )
    console.print(f"Validation accuracy {accuracy:.2%} of {len(validation.labels)} images. Run written to {out}.")


def report_unreadable(unreadable: Sequence[Unreadable]) -> None:
    """Say which files were skipped, and how many."""
    for each in unreadable:
        console.print(f"skipped {each.path}: {each.reason}", markup=False)
    if unreadable:
        console.print(f"{len(unreadable)} file(s) skipped: they are no readable images.")


class _Part:
    """Fields uint8 (n, 224, 224, 3) and labels int64 (n,) of one part of the split."""

    def __init__(self, dataset: Dataset, files: Sequence[ImageFile], description: Description) -> None:
        index = {file.path: position for position, file in enumerate(dataset.files)}
        self.fields = dataset.fields[[index[file.path] for file in files]]
        self.labels = np.array([description.codes.index(file.label) for file in files], np.int64)


def _split(options: TrainOptions, dataset: Dataset) -> list[Assignment]:
    if options.split is None:
        return split_dataset(
            dataset,
            test_share=options.test_share,
            validation_share=options.validation_share,
            seed=options.seed,
        )
    assignments = read_split(Path(options.split))
    if {each.file for each in assignments} != set(dataset.files):
        raise RunError(
            f"{options.split} was not made of the images in {options.data}.",
            remedy="Leave --split out to make a new one.",
        )
    return assignments


def _features(
    backbone: keras.Model, part: _Part, options: TrainOptions, *, vary: Vary | None = None, seed: int = 0
) -> NDArray[np.float32]:
    return pooled_features(
        backbone,
        part.fields,
        preprocessing=options.preprocessing,
        denoise=options.denoise,
        vary=vary,
        seed=seed,
    )


def _training_features(
    backbone: keras.Model, part: _Part, options: TrainOptions
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Every training image in so many variants."""
    variants = [
        _features(backbone, part, options, vary=augment, seed=options.seed + variant)
        for variant in range(options.variants)
    ]
    return np.concatenate(variants), np.tile(part.labels, options.variants)


def _accuracy(head: Head, features: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    return float((head.logits(features).argmax(axis=1) == labels).mean())
