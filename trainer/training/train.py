"""'trainer train': fits a linear head on frozen ImageNet features, trains the last layers, and records how."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from trainer.data.assignment import split_dataset
from trainer.data.dataset import Dataset, read_dataset, report_unreadable
from trainer.data.description import Description, load_description
from trainer.data.listing import list_images
from trainer.data.split import Assignment, Part, in_part, near_duplicates_count, read_split, write_split
from trainer.errors import RunError
from trainer.files import check_output_folder, make_folder, write_json
from trainer.networks.backbone import load_backbone
from trainer.networks.frozen_features import read_outputs
from trainer.networks.network import build_network, set_head
from trainer.networks.weights import named_weights, write_weights
from trainer.progress import console
from trainer.spec import FEATURES, LOGITS
from trainer.training.batch_norm import measure_batch_norms
from trainer.training.curves import write_curves
from trainer.training.finetune import TrainingMaps, ValidationMaps, finetune
from trainer.training.head import Trial, fit_head
from trainer.training.map_cache import CachedMaps, PartData, cache_maps
from trainer.training.options import TrainOptions
from trainer.training.run import (
    CACHE,
    CHECKPOINT,
    CONFIG,
    CURVES,
    METRICS,
    SPLIT,
    WEIGHTS,
    Duration,
    RunConfig,
    read_config,
)
from trainer.training.tail import build_tail, predict
from trainer.training.teachers import average_networks, check_teacher, load_teacher

HEAD_VARIANTS = 4
"""Variants of each image for fitting the head: more hardly change a linear classifier."""
MEASURED_COUNT = 256
"""Largest number of images for measuring BatchNorm's statistics; each has 49 to 196 positions."""
TEACHER_SHARE = 0.7
"""Weight of the teacher in the training target; the rest is the label."""
TEACHER_TEMPERATURE = 2.0


def train(options: TrainOptions) -> None:
    """Train and write the run folder, or resume an unfinished run there. Raises ``TrainerError``.

    The test images are not used: they are for the file that is shipped.
    """
    began = time.monotonic(), time.process_time()
    data, out = Path(options.data), Path(options.out)
    _check(options)
    description = load_description(options.description, data)
    list_images(data, description)
    backbone = load_backbone(options.alpha, options.weights, options.network)
    dataset = read_dataset(data, description)
    report_unreadable(dataset.unreadable)
    assignments = _start_or_resume(options, dataset, description)
    networks = [load_teacher(Path(teacher), options, assignments, description) for teacher in options.teacher]

    keras.utils.set_random_seed(options.seed)
    middle = options.middle_layer
    network = build_network(backbone, len(description.classes), middle)
    teacher = average_networks(networks) if networks else None
    training = PartData(dataset, in_part(assignments, Part.TRAIN), description)
    validation = PartData(dataset, in_part(assignments, Part.VALIDATION), description)
    kept = cache_maps(network, training, validation, options, teacher)
    measured = read_outputs(kept.train[0], mapped=True)
    # Files are sorted by class, so equal steps take images of every class.
    measure_batch_norms(network, middle, measured[:: math.ceil(len(measured) / MEASURED_COUNT)])
    tail = build_tail(network, middle)
    trials = _fit_head(network, tail, kept, training.labels, validation.labels)
    history = finetune(
        tail,
        _training_maps(kept, training.labels, len(description.classes)),
        ValidationMaps(kept.clean, kept.shifted, validation.labels),
        out / CHECKPOINT,
        epochs=options.epochs,
        seed=options.seed,
    )
    write_curves(out / CURVES, history)
    clean, shifted = (_accuracy(tail, paths, validation.labels) for paths in ([kept.clean], kept.shifted))
    write_json(
        out / METRICS,
        {
            "images_count": {part.value: len(in_part(assignments, part)) for part in Part},
            "images_with_twin_count": near_duplicates_count(assignments),
            "unreadable": [asdict(each) for each in dataset.unreadable],
            "head_trials": [asdict(each) for each in trials],
            "epochs_count": history[-1].epoch,
            "best_epoch": min(history, key=lambda each: each.validation_loss).epoch,
            "validation_accuracy_ratio": clean,
            "validation_accuracy_shifted_ratio": shifted,
            **Duration(
                wall_s=round(time.monotonic() - began[0], 1),
                cpu_s=round(time.process_time() - began[1], 1),
                cores_count=os.cpu_count() or 1,
            ).model_dump(),
        },
    )
    write_weights(out / WEIGHTS, named_weights(network))
    shutil.rmtree(out / CACHE)
    (out / CHECKPOINT).unlink(missing_ok=True)
    console.print(
        f"Validation accuracy: {clean:.2%} of {len(validation.labels)} images, {shifted:.2%} under moderate shifts. "
        f"Run written to {out}."
    )


def _check(options: TrainOptions) -> None:
    """Raise ``TrainerError`` for problems that are known before any image is read."""
    out = Path(options.out)
    check_output_folder(out)
    if (out / WEIGHTS).exists():
        raise RunError(f"{out} already contains a finished run.", remedy="Name another --out, or remove it.")
    if options.split is not None:
        read_split(Path(options.split), Path(options.data))
    for teacher in options.teacher:
        check_teacher(Path(teacher), options)


def _start_or_resume(options: TrainOptions, dataset: Dataset, description: Description) -> list[Assignment]:
    """The split of the unfinished run in the folder, or of a new run."""
    out = Path(options.out)
    if (out / CONFIG).exists():
        config = read_config(out)
        assignments = read_split(out / SPLIT)
        # The hash is of the images alone: their classes, and what those mean, may have been corrected since.
        same_images = config.dataset_sha256 == dataset.sha256 and {each.file for each in assignments} == set(
            dataset.files
        )
        if config.options != options or config.dataset != description or not same_images:
            raise RunError(
                f"{out} contains an unfinished run with other options or images.",
                remedy="Give the same options to resume it, name another --out, or remove it.",
            )
        console.print(f"Resuming the unfinished run in {out}.")
        return assignments
    assignments = _split(options, dataset)
    make_folder(out / CACHE)
    write_split(out / SPLIT, assignments)
    write_json(out / CONFIG, RunConfig.now(options, description, dataset.sha256, len(dataset.files)))
    return assignments


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
            f"{options.split} was not made from the images in {options.data}.",
            remedy="Give the split of these images, or leave --split out to make a new one.",
        )
    return assignments


def _fit_head(
    network: keras.Model, tail: keras.Model, kept: CachedMaps, labels: NDArray[np.int64], validation: NDArray[np.int64]
) -> list[Trial]:
    """Give the network the best linear head on its frozen features."""
    chosen = kept.train[:HEAD_VARIANTS]
    features = np.concatenate([_output(tail, path, FEATURES) for path in chosen])
    head, trials = fit_head((features, np.tile(labels, len(chosen))), (_output(tail, kept.clean, FEATURES), validation))
    set_head(network, head.coefficients, head.intercept)
    return trials


def _training_maps(kept: CachedMaps, labels: NDArray[np.int64], classes_count: int) -> TrainingMaps:
    """Labels, softened by the teacher if there is one; all classes have the same weight, whatever their size."""
    wanted = np.eye(classes_count, dtype=np.float32)[labels]
    weights = (len(labels) / classes_count / np.bincount(labels, minlength=classes_count)[labels]).astype(np.float32)
    targets = [
        (1 - TEACHER_SHARE) * wanted
        + TEACHER_SHARE * softmax(read_outputs(path).astype(np.float32) / TEACHER_TEMPERATURE, axis=1)
        for path in kept.teacher_logits
    ]
    return TrainingMaps(kept.train, targets or [wanted] * len(kept.train), weights)


def _output(tail: keras.Model, path: Path, name: str) -> NDArray[np.float32]:
    return predict(tail, read_outputs(path, mapped=True))[name]


def _accuracy(tail: keras.Model, paths: Sequence[Path], labels: NDArray[np.int64]) -> float:
    return float(np.mean([_output(tail, path, LOGITS).argmax(axis=1) == labels for path in paths]))
