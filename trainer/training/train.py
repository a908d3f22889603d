"""'trainer train': a linear head on frozen ImageNet features, then the last layers, and a record of how it was done."""

from __future__ import annotations

import csv
import io
import math
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from trainer.augmentation.augment import augment, shift_moderately
from trainer.data.dataset import Dataset, ImageFile, read_dataset, report_unreadable
from trainer.data.description import Description, load_description
from trainer.data.split import Assignment, Part, in_part, read_split, split_dataset, twins_count, write_split
from trainer.errors import RunError
from trainer.networks.backbone import load_backbone, named_weights, write_weights
from trainer.networks.frozen_features import Variants, Vary, keep_outputs
from trainer.networks.network import build_network, restore_network, set_head
from trainer.progress import console
from trainer.spec import FEATURES, LOGITS, middle_layer
from trainer.training.checkpoint import Epoch
from trainer.training.finetune import Check, Lessons, build_tail, finetune, measure_batch_norms, predict
from trainer.training.head import Trial, fit_head
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
    TrainOptions,
    read_config,
    replacing,
    write_json,
)

HEAD_VARIANTS = 4
"""The head is fitted to so many variants of each image: more hardly change a linear classifier."""
SHIFTED_VARIANTS = 4
"""So many moderately shifted variants of each validation image join in early stopping."""
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
    assignments = _take_up(options, dataset, description)
    networks = [_teacher(Path(teacher), options, assignments, description) for teacher in options.teacher]

    keras.utils.set_random_seed(options.seed)
    middle = middle_layer(options.alpha)
    network = build_network(load_backbone(options.alpha, options.weights), len(description.classes), middle)
    teacher = _average(networks) if networks else None
    training = _Part(dataset, in_part(assignments, Part.TRAIN), description)
    validation = _Part(dataset, in_part(assignments, Part.VALIDATION), description)
    kept = _keep(network, training, validation, options, teacher)
    measured = np.load(kept.train[0], mmap_mode="r")
    # Files are sorted by class: so many steps apart, all are there.
    measure_batch_norms(network, middle, measured[:: math.ceil(len(measured) / MEASURED_COUNT)])
    tail = build_tail(network, middle)
    trials = _fit_head(network, tail, kept, training.labels, validation.labels)
    history = finetune(
        tail,
        _lessons(kept, training.labels, len(description.classes)),
        Check(kept.clean, kept.shifted, validation.labels),
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
            "images_with_twin_count": twins_count(assignments),
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


class _Part:
    """Fields uint8 (n, 224, 224, 3) and labels int64 (n,) of one part of the split."""

    def __init__(self, dataset: Dataset, files: Sequence[ImageFile], description: Description) -> None:
        index = {file.path: position for position, file in enumerate(dataset.files)}
        self.fields = dataset.fields[[index[file.path] for file in files]]
        self.labels = np.array([description.codes.index(file.label) for file in files], np.int64)


@dataclass(frozen=True, slots=True)
class _Kept:
    """Files of middle maps, and of the teacher's logits where there is one: one of each per training variant."""

    train: list[Path]
    taught: list[Path]
    clean: Path
    shifted: list[Path]


def _take_up(options: TrainOptions, dataset: Dataset, description: Description) -> list[Assignment]:
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


def _teacher(
    run: Path, options: TrainOptions, assignments: Sequence[Assignment], description: Description
) -> keras.Model:
    """Image to logits of a finished run, if it may teach. Raises ``RunError`` or ``WeightsError``."""
    config = read_config(run)
    theirs, ours = config.options, options
    if (theirs.preprocessing, theirs.denoise) != (ours.preprocessing, ours.denoise):
        raise RunError(f"the teacher {run} sees images by {theirs.preprocessing} and {theirs.denoise}.")
    if config.dataset.codes != description.codes:
        raise RunError(f"the teacher {run} knows other classes.")
    learnt = {file.sha256 for file in in_part(read_split(run / SPLIT), Part.TRAIN)}
    if any(each.file.sha256 in learnt for each in assignments if each.part is not Part.TRAIN):
        raise RunError(
            f"the teacher {run} learnt from images that are kept for validation or test here.",
            remedy="Give the teacher's manifest.csv as --split.",
        )
    network = restore_network(run / WEIGHTS, theirs.alpha, len(config.dataset.classes))
    return keras.Model(network.input, network.output[LOGITS])


def _average(networks: Sequence[keras.Model]) -> keras.Model:
    """Image to the networks' mean logits: what one of them is wrongly sure of, the others make less sure."""
    image = keras.Input(networks[0].input_shape[1:])
    return keras.Model(image, keras.ops.mean(keras.ops.stack([network(image) for network in networks]), axis=0))


def _keep(
    network: keras.Model, training: _Part, validation: _Part, options: TrainOptions, teacher: keras.Model | None
) -> _Kept:
    """Compute what the frozen layers, and the teacher, make of all variants, as far as it is not there yet."""
    cache = Path(options.out) / CACHE
    kept = _Kept(
        [cache / f"train-{number:02d}.npy" for number in range(options.variants)],
        [] if teacher is None else [cache / f"taught-{number:02d}.npy" for number in range(options.variants)],
        cache / "validation.npy",
        [cache / f"validation-shifted-{number:02d}.npy" for number in range(SHIFTED_VARIANTS)],
    )
    front = keras.Model(network.input, network.get_layer(middle_layer(options.alpha)).output)

    def variants(part: _Part, vary: Vary | None, *seed: int) -> Variants:
        return Variants(part.fields, options.preprocessing, options.denoise, vary, (options.seed, *seed))

    keep_outputs({kept.clean: front}, variants(validation, None, 0), "Validation images")
    for number, path in enumerate(kept.shifted):
        keep_outputs({path: front}, variants(validation, shift_moderately, 2, number), "Shifted validation images")
    for number, path in enumerate(kept.train):
        outputs = {path: front}
        if teacher is not None:
            outputs[kept.taught[number]] = teacher
        keep_outputs(outputs, variants(training, augment, 1, number), f"Variant {number + 1} of {options.variants}")
    return kept


def _fit_head(
    network: keras.Model, tail: keras.Model, kept: _Kept, labels: NDArray[np.int64], validation: NDArray[np.int64]
) -> list[Trial]:
    """Give the network the best linear head for its features as they are."""
    chosen = kept.train[:HEAD_VARIANTS]
    features = np.concatenate([_output(tail, path, FEATURES) for path in chosen])
    head, trials = fit_head((features, np.tile(labels, len(chosen))), (_output(tail, kept.clean, FEATURES), validation))
    set_head(network, head.coefficients, head.intercept)
    return trials


def _lessons(kept: _Kept, labels: NDArray[np.int64], classes_count: int) -> Lessons:
    """Labels, softened by the teacher where there is one; classes count alike however many images they have."""
    wanted = np.eye(classes_count, dtype=np.float32)[labels]
    weights = (len(labels) / classes_count / np.bincount(labels, minlength=classes_count)[labels]).astype(np.float32)
    targets = [
        (1 - TEACHER_SHARE) * wanted
        + TEACHER_SHARE * softmax(np.load(path).astype(np.float32) / TEACHER_TEMPERATURE, axis=1)
        for path in kept.taught
    ]
    return Lessons(kept.train, targets or [wanted] * len(kept.train), weights)


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
