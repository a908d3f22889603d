"""Fine-tunes the branch that distinguishes the types, on the shared layers' cached maps.

Each window is drawn in one of its variants. Half of a batch takes its channels' means and spreads, in part, from
another window: these mostly carry the laboratory (MixStyle; Zhou, Yang, Qiao and Xiang, 2021).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from trainer.cells.training.map_cache import CachedCells
from trainer.cells.training.network import TYPES_COUNT, TYPES_LOGITS
from trainer.progress import console, track
from trainer.training.checkpoint import Epoch, read_checkpoint, write_checkpoint
from trainer.training.student import Student
from trainer.training.tail import BATCH, Floats, predict

LEARNING_RATE = 5e-4
SMOOTHING = 0.1
"""Share of the target that is spread over all types, because labels are those of single readers."""
MIXED_RATIO = 0.5
"""Share of a batch's windows whose statistics are mixed."""
_MIXING = 0.3
"""Both parameters of the Beta distribution from which a window's own share is drawn."""
_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class TypedCells:
    """Cells whose type is known: positions in the cache and their types, both int64 (n,), and how often each is drawn.

    ``weights`` is float64 (n,), of sum 1. Types count from 0 in the order of ``TYPES`` without the blast.
    """

    positions: NDArray[np.int64]
    types: NDArray[np.int64]
    weights: NDArray[np.float64]


def train_types(
    tail: keras.Model,
    cached: CachedCells,
    training: TypedCells,
    validation: TypedCells,
    checkpoint: Path,
    *,
    epochs: int,
    seed: int,
) -> tuple[Epoch, ...]:
    """Train ``tail`` for ``epochs`` and leave it with the average of its last weights; returns the curves.

    Nothing is chosen by the validation cells: they only show progress. Resumes from ``checkpoint`` if it exists, and
    writes it after each epoch; batches do not depend on whether the training was interrupted. Raises ``RunError`` or
    ``OutputUnwritable``.
    """
    steps = math.ceil(len(training.positions) / BATCH)
    student = Student(tail, _schedule(epochs * steps), TYPES_LOGITS)
    state = read_checkpoint(checkpoint)
    if state is None:
        state = student.state((Epoch(0, 0.0, None, *_validate(tail, cached, validation), 0.0),), student.average)
    else:
        student.restore(state)
        console.print(f"Resuming after epoch {state.history[-1].epoch}.")
    while state.history[-1].epoch < epochs:
        began = time.monotonic()
        number = state.history[-1].epoch
        rate = student.learning_rate
        rng = np.random.default_rng((seed, number))
        ones = np.ones(BATCH, np.float32)
        loss = float(np.mean([student.learn(*batch, ones) for batch in _batches(cached, training, steps, number, rng)]))
        with student.averaged():
            validated = _validate(tail, cached, validation)
        epoch = Epoch(number + 1, rate, loss, *validated, time.monotonic() - began)
        state = student.state((*state.history, epoch), student.average)
        write_checkpoint(checkpoint, state)
        console.print(
            f"Epoch {epoch.epoch} of {epochs}: training loss {loss:.4f}; validation accuracy "
            f"{epoch.clean_accuracy_ratio:.2%}, varied {epoch.shifted_accuracy_ratio:.2%}; {epoch.seconds:.0f} s"
        )
    student.assign(state.average)
    return state.history


def _schedule(steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    return keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / 50, steps, alpha=0.01, warmup_target=LEARNING_RATE, warmup_steps=max(1, steps // 20)
    )


def _batches(
    cached: CachedCells, cells: TypedCells, steps: int, epoch: int, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    """Maps and targets, (BATCH, ...), of cells drawn according to their weights."""
    targets = (np.eye(TYPES_COUNT) * (1 - SMOOTHING) + SMOOTHING / TYPES_COUNT).astype(np.float32)
    for _ in track(range(steps), f"Epoch {epoch + 1}"):
        drawn = rng.choice(len(cells.positions), BATCH, p=cells.weights)
        # Variant 0 is the window as it is; the others suffice.
        variants = rng.integers(1, len(cached.maps), BATCH)
        maps = np.empty((BATCH, *cached.maps[0][0].shape[1:]), np.float32)
        for variant in np.unique(variants):
            chosen = variants == variant
            maps[chosen] = cached.take(int(variant), cells.positions[drawn[chosen]])
        yield mix_styles(maps, rng), targets[cells.types[drawn]]


def mix_styles(maps: Floats, rng: np.random.Generator) -> Floats:
    """Mix into about half of the maps (n, h, w, m) the channels' means and spreads of another map of the batch."""
    mean = maps.mean(axis=(1, 2), keepdims=True)
    spread = np.sqrt(maps.var(axis=(1, 2), keepdims=True) + _LEAST_VARIANCE)
    mixed = rng.random(len(maps)) < MIXED_RATIO
    own = np.where(mixed, rng.beta(_MIXING, _MIXING, len(maps)), 1.0).astype(np.float32)[:, None, None, None]
    other = rng.permutation(len(maps))
    new_mean, new_spread = (own * each + (1 - own) * each[other] for each in (mean, spread))
    return np.asarray((maps - mean) / spread * new_spread + new_mean, np.float32)


def _validate(tail: keras.Model, cached: CachedCells, cells: TypedCells) -> tuple[float, float, float, float]:
    """Mean cross-entropy and accuracy of the windows as on the device, then of their first variants."""
    figures: list[float] = []
    for variant in (0, 1):
        logits = predict(tail, cached.take(variant, cells.positions))[TYPES_LOGITS]
        figures.append(-float(log_softmax(logits, axis=1)[np.arange(len(logits)), cells.types].mean()))
        figures.append(float((logits.argmax(axis=1) == cells.types).mean()))
    return figures[0], figures[1], figures[2], figures[3]
