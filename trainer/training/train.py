"""'trainer train': a linear head on frozen ImageNet features, then the last layers, and a record of how it was done."""

from __future__ import annotations

import csv
import io
import math
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from trainer.data.assignment import split_dataset
from trainer.data.dataset import Dataset, read_dataset, report_unreadable
from trainer.data.description import Description, load_description
from trainer.data.split import Assignment, Part, in_part, near_duplicates_count, read_split, write_split
from trainer.errors import RunError
from trainer.files import replacing, write_json
from trainer.networks.backbone import load_backbone
from trainer.networks.network import build_network, set_head
from trainer.networks.weights import named_weights, write_weights
from trainer.progress import console
from trainer.spec import FEATURES, LOGITS, middle_layer
from trainer.training.batch_norm import measure_batch_norms
from trainer.training.checkpoint import Epoch
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
from trainer.training.teachers import average_networks, load_teacher

HEAD_VARIANTS = 4
"""The head is fitted to so many variants of each image: more hardly change a linear classifier."""
MEASURED_COUNT = 256
"""At most so many images serve to measure BatchNorm's statistics; each has 49 to 196 places."""
TEACHER_SHARE = 0.7
"""Share of the teacher in what a taught network learns; the rest is the label."""
TEACHER_TEMPERATURE = 2.0


def train(options: TrainOptions) -> None:
    """Train as asked and write the run folder, or go on with an unfinished run there. Raises ``TrainerError``.

    The test images are not looked at: they are for the file that ships.
    """
    began = time.monotonic(), time.process_time()
    out = Path(options.out)
    if (out / WEIGHTS).exists():
        raise RunError(f"{out} already holds a run.", remedy="Name another --out, or remove it.")
    data = Path(options.data)
    description = load_description(options.description, data)
    dataset = read_dataset(data, description)
    report_unreadable(dataset.unreadable)
    assignments = _start_or_resume(options, dataset, description)
    networks = [load_teacher(Path(teacher), options, assignments, description) for teacher in options.teacher]

    keras.utils.set_random_seed(options.seed)
    middle = middle_layer(options.alpha)
    network = build_network(load_backbone(options.alpha, options.weights), len(description.classes), middle)
    teacher = average_networks(networks) if networks else None
    training = PartData(dataset, in_part(assignments, Part.TRAIN), description)
    validation = PartData(dataset, in_part(assignments, Part.VALIDATION), description)
    kept = cache_maps(network, training, validation, options, teacher)
    measured = np.load(kept.train[0], mmap_mode="r")
    # Files are sorted by class: so many steps apart, all are there.
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
    _write_curves(out / CURVES, history)
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
        f"Validation accuracy {clean:.2%} of {len(validation.labels)} images, {shifted:.2%} when they are "
        f"moderately shifted. Run written to {out}."
    )


def _start_or_resume(options: TrainOptions, dataset: Dataset, description: Description) -> list[Assignment]:
    """The split of the unfinished run in the folder, or of a new one."""
    out = Path(options.out)
    if (out / CONFIG).exists():
        config = read_config(out)
        if config.options != options or config.dataset_sha256 != dataset.sha256:
            raise RunError(
                f"{out} holds an unfinished run with other options or images.",
                remedy="Give the same options to go on with it, name another --out, or remove it.",
            )
        console.print(f"Going on with the unfinished run in {out}.")
        return read_split(out / SPLIT)
    assignments = _split(options, dataset)
    (out / CACHE).mkdir(parents=True, exist_ok=True)
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
            f"{options.split} was not made of the images in {options.data}.",
            remedy="Leave --split out to make a new one.",
        )
    return assignments


def _fit_head(
    network: keras.Model, tail: keras.Model, kept: CachedMaps, labels: NDArray[np.int64], validation: NDArray[np.int64]
) -> list[Trial]:
    """Give the network the best linear head for its features as they are."""
    chosen = kept.train[:HEAD_VARIANTS]
    features = np.concatenate([_output(tail, path, FEATURES) for path in chosen])
    head, trials = fit_head((features, np.tile(labels, len(chosen))), (_output(tail, kept.clean, FEATURES), validation))
    set_head(network, head.coefficients, head.intercept)
    return trials


def _training_maps(kept: CachedMaps, labels: NDArray[np.int64], classes_count: int) -> TrainingMaps:
    """Labels, softened by the teacher where there is one; classes count alike however many images they have."""
    wanted = np.eye(classes_count, dtype=np.float32)[labels]
    weights = (len(labels) / classes_count / np.bincount(labels, minlength=classes_count)[labels]).astype(np.float32)
    targets = [
        (1 - TEACHER_SHARE) * wanted
        + TEACHER_SHARE * softmax(np.load(path).astype(np.float32) / TEACHER_TEMPERATURE, axis=1)
        for path in kept.taught
    ]
    return TrainingMaps(kept.train, targets or [wanted] * len(kept.train), weights)


def _output(tail: keras.Model, path: Path, name: str) -> NDArray[np.float32]:
    return predict(tail, np.load(path, mmap_mode="r"))[name]


def _accuracy(tail: keras.Model, paths: Sequence[Path], labels: NDArray[np.int64]) -> float:
    return float(np.mean([_output(tail, path, LOGITS).argmax(axis=1) == labels for path in paths]))


def _write_curves(path: Path, history: Sequence[Epoch]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [each.name for each in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(each) for each in history)
    with replacing(path) as file:
        file.write(text.getvalue().encode())
