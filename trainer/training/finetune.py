"""Fine-tunes the layers behind the frozen ones, on the frozen layers' cached outputs.

BatchNorm keeps its statistics while its scale and shift are trained: the network that is trained is then the one that
is converted, and a few dozen images estimate a mean worse than thousands do. Training is only well conditioned with the
statistics of the training images, so they are measured first, without changing what the network computes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from trainer.networks.frozen_features import read_outputs
from trainer.progress import console, track
from trainer.spec import LOGITS
from trainer.training.checkpoint import Epoch, read_checkpoint, write_checkpoint
from trainer.training.map_augmentation import mix, turn_maps
from trainer.training.student import Student
from trainer.training.tail import BATCH, Floats, predict
from trainer.training.temperature import fit_temperature

LEARNING_RATE = 1e-3
PATIENCE_EPOCHS = 8
"""Training ends after this many epochs without a smaller validation loss."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingMaps:
    """Training data: for each variant a ``.npy`` file of middle maps (n, h, w, m) and the target probabilities.

    ``targets`` are float32 (n, c), one array per file; ``weights`` float32 (n,) say how much an image counts.
    """

    maps: Sequence[Path]
    targets: Sequence[Floats]
    weights: Floats


@dataclass(frozen=True, slots=True, eq=False)
class ValidationMaps:
    """Validation data: ``.npy`` files of middle maps as they are and shifted, and labels int64 (n,) for each file."""

    clean: Path
    shifted: Sequence[Path]
    labels: NDArray[np.int64]


def finetune(
    tail: keras.Model, training: TrainingMaps, validation: ValidationMaps, checkpoint: Path, *, epochs: int, seed: int
) -> tuple[Epoch, ...]:
    """Train ``tail`` and leave it with the averaged weights of the lowest validation loss, including the start's.

    Returns the curves; their first row is the start.

    Resumes from ``checkpoint`` if it exists, and writes it after each epoch; the same seed gives the same order of
    images whether or not the training was interrupted. Raises ``RunError`` or ``OutputUnwritable``.
    """
    student = Student(tail, _schedule(epochs, len(training.weights)))
    state = read_checkpoint(checkpoint)
    if state is None:
        start = Epoch(0, 0.0, None, *validate(tail, validation), 0.0)
        state = student.state((start,), student.average)
    else:
        student.restore(state)
        console.print(f"Resuming after epoch {state.history[-1].epoch}.")
    while state.history[-1].epoch < epochs and not _should_stop(state.history):
        began = time.monotonic()
        number = state.history[-1].epoch
        rate = float(student.learning_rate)
        loss = np.mean([student.learn(*batch) for batch in _batches(training, number, seed)])
        with student.averaged():
            validated = validate(tail, validation)
        epoch = Epoch(number + 1, rate, float(loss), *validated, time.monotonic() - began)
        history = (*state.history, epoch)
        best = student.average if min(history, key=_loss) is epoch else state.best
        state = student.state(history, best)
        write_checkpoint(checkpoint, state)
        console.print(
            f"Epoch {epoch.epoch}: training loss {loss:.4f}; validation loss {epoch.clean_loss:.4f}, "
            f"accuracy {epoch.clean_accuracy_ratio:.2%}, shifted {epoch.shifted_loss:.4f}, "
            f"{epoch.shifted_accuracy_ratio:.2%}; {epoch.seconds:.0f} s",
            soft_wrap=True,
        )
    student.assign(state.best)
    return state.history


def _loss(epoch: Epoch) -> float:
    return epoch.validation_loss


def _should_stop(history: Sequence[Epoch]) -> bool:
    return history[-1].epoch - min(history, key=_loss).epoch >= PATIENCE_EPOCHS


def _schedule(epochs: int, images_count: int) -> keras.optimizers.schedules.LearningRateSchedule:
    steps = math.ceil(images_count / BATCH)
    return keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / steps, max(1, (epochs - 1) * steps), warmup_target=LEARNING_RATE, warmup_steps=steps
    )


def _batches(training: TrainingMaps, epoch: int, seed: int) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Middle maps, targets and weights of one epoch: every image once, in one of its variants."""
    variant = epoch % len(training.maps)
    maps = read_outputs(training.maps[variant], mapped=True)
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(maps))
    for start in track(range(0, len(order), BATCH), f"Epoch {epoch + 1}"):
        chosen = order[start : start + BATCH]
        batch = (
            turn_maps(maps[chosen].astype(np.float32), rng),
            training.targets[variant][chosen],
            training.weights[chosen],
        )
        yield mix(*batch, rng)


def validate(tail: keras.Model, validation: ValidationMaps) -> tuple[float, float, float, float]:
    """Mean cross-entropy and accuracy of the images as they are, then of the shifted ones.

    Both are at the best temperature for these images, as in a bundle: a network that mixup or a teacher has made less
    confident is not worse for it.
    """
    clean = _logits(tail, [validation.clean])
    shifted = _logits(tail, validation.shifted)
    truths = validation.labels, np.tile(validation.labels, len(validation.shifted))
    temperature = fit_temperature(np.concatenate([clean, shifted]), np.concatenate(truths))
    figures: list[float] = []
    for logits, truth in zip((clean, shifted), truths, strict=True):
        figures.append(-float(log_softmax(logits / temperature, axis=1)[np.arange(len(truth)), truth].mean()))
        figures.append(float((logits.argmax(axis=1) == truth).mean()))
    return figures[0], figures[1], figures[2], figures[3]


def _logits(tail: keras.Model, files: Sequence[Path]) -> Floats:
    return np.concatenate([predict(tail, read_outputs(file, mapped=True))[LOGITS] for file in files])
