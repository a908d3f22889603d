"""Fine-tunes the layers behind the frozen ones, on the frozen layers' kept outputs.

BatchNorm keeps its statistics while its scale and shift are learnt: the network that is trained is the
network that is converted, and a batch of a few dozen images tells less of a mean than thousands do. For the
learning to be well conditioned the statistics must be those of the data at hand, so they are measured on
training images first, in a way that leaves the network's function as it was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from trainer.progress import console, track
from trainer.spec import FEATURES, LOGITS
from trainer.training.calibration import fit_temperature
from trainer.training.checkpoint import Arrays, Checkpoint, Epoch, read_checkpoint, write_checkpoint

BATCH = 64
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.02
AVERAGING = 0.99
"""Share that the moving average of the weights keeps at each step: over about a hundred steps."""
MIXING = 0.2
"""Both parameters of the Beta distribution that the other image's share comes from: mostly little."""
PATIENCE_EPOCHS = 8
"""So many epochs without a smaller validation loss end the training."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """What is learnt: for each variant a ``.npy`` file of middle maps (n, h, w, m) and the wanted probabilities.

    ``targets`` are float32 (n, c), one array per file; ``weights`` float32 (n,) say how much an image counts.
    """

    maps: Sequence[Path]
    targets: Sequence[Floats]
    weights: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """What is validated by: ``.npy`` files of middle maps as they are and shifted; labels int64 (n,) of each."""

    clean: Path
    shifted: Sequence[Path]
    labels: NDArray[np.int64]


def build_tail(network: keras.Model, middle: str) -> keras.Model:
    """The part of ``network`` behind ``middle``: from its map to ``logits`` and ``features``, layers shared."""
    outputs = {name: network.output[name] for name in (LOGITS, FEATURES)}
    return keras.Model(network.get_layer(middle).output, outputs, name="tail")


def measure_batch_norms(network: keras.Model, middle: str, maps: NDArray[np.floating]) -> None:
    """Give each BatchNorm behind ``middle`` the mean and variance that ``maps`` (n, h, w, m) have there.

    Scale and shift make up for it: the network computes what it did.
    """
    tail = build_tail(network, middle)
    norms = [layer for layer in tail.layers if isinstance(layer, keras.layers.BatchNormalization)]
    entering = keras.Model(network.get_layer(middle).output, [norm.input for norm in norms])
    for norm, values in zip(norms, entering.predict(maps.astype(np.float32), batch_size=BATCH, verbose=0), strict=True):
        gamma, beta, old_mean, old_variance = norm.get_weights()
        axes = tuple(range(values.ndim - 1))
        mean, variance = values.mean(axes, np.float64), values.var(axes, np.float64)
        slope = gamma / np.sqrt(old_variance + norm.epsilon)
        scale, shift = slope * np.sqrt(variance + norm.epsilon), beta + slope * (mean - old_mean)
        norm.set_weights([scale, shift, mean, variance])


def finetune(
    tail: keras.Model, lessons: Lessons, check: Check, checkpoint: Path, *, epochs: int, seed: int
) -> tuple[Epoch, ...]:
    """Train ``tail`` and leave it with the averaged weights of the least validation loss, the start's included.

    Returns the curves, of which the first row is the start.

    Goes on from ``checkpoint`` where there is one, and writes it after each epoch; the same seed gives the
    same order of images whether or not the training was interrupted. Raises ``RunError``.
    """
    student = _Student(tail, _schedule(epochs, len(lessons.weights)))
    state = read_checkpoint(checkpoint)
    if state is None:
        start = Epoch(0, 0.0, None, *judge(tail, check), 0.0)
        state = student.state((start,), student.average)
    else:
        student.restore(state)
        console.print(f"Going on after epoch {state.history[-1].epoch}.")
    while state.history[-1].epoch < epochs and not _is_over(state.history):
        began = time.monotonic()
        number = state.history[-1].epoch
        rate = float(student.learning_rate)
        loss = np.mean([student.learn(*batch) for batch in _batches(lessons, number, seed)])
        with student.averaged():
            judged = judge(tail, check)
        epoch = Epoch(number + 1, rate, float(loss), *judged, time.monotonic() - began)
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


def _is_over(history: Sequence[Epoch]) -> bool:
    return history[-1].epoch - min(history, key=_loss).epoch >= PATIENCE_EPOCHS


def _schedule(epochs: int, images_count: int) -> keras.optimizers.schedules.LearningRateSchedule:
    steps = math.ceil(images_count / BATCH)
    return keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / steps, max(1, (epochs - 1) * steps), warmup_target=LEARNING_RATE, warmup_steps=steps
    )


def _batches(lessons: Lessons, epoch: int, seed: int) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Middle maps, targets and weights of one epoch: every image once, in one of its variants."""
    variant = epoch % len(lessons.maps)
    maps = np.load(lessons.maps[variant], mmap_mode="r")
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(maps))
    for start in track(range(0, len(order), BATCH), f"Epoch {epoch + 1}"):
        chosen = order[start : start + BATCH]
        batch = (
            turn_maps(maps[chosen].astype(np.float32), rng),
            lessons.targets[variant][chosen],
            lessons.weights[chosen],
        )
        yield mix(*batch, rng)


def turn_maps(maps: Floats, rng: np.random.Generator) -> Floats:
    """Each map (n, s, s, m) in one of its eight orientations: more variety for less than a variant's cost.

    The map of a turned image is not quite the turned map, but the tail must bear the one as it must the other.
    """
    turns, mirrored = rng.integers(4, size=len(maps)), rng.random(len(maps)) < 0.5
    return np.stack(
        [
            np.rot90(one[:, ::-1] if mirror else one, quarter)
            for one, quarter, mirror in zip(maps, turns, mirrored, strict=True)
        ]
    )


def mix(maps: Floats, targets: Floats, weights: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Each image with a share of another of the batch, and so its target (mixup, Zhang et al., 2018).

    What lies between two classes is then learnt to be uncertain, which keeps the probabilities honest.
    """
    share = rng.beta(MIXING, MIXING, len(maps)).astype(np.float32)
    share = np.minimum(share, 1 - share)
    other = rng.permutation(len(maps))
    mixed_maps = maps + share[:, None, None, None] * (maps[other] - maps)
    return (
        mixed_maps,
        targets + share[:, None] * (targets[other] - targets),
        weights + share * (weights[other] - weights),
    )


def judge(tail: keras.Model, check: Check) -> tuple[float, float, float, float]:
    """Mean cross-entropy and accuracy of the images as they are, then of the shifted ones.

    At the temperature that suits them best, as a bundle's will: a network that learns to be less sure than another,
    by mixup or from a teacher, is not a worse one.
    """
    clean = _logits(tail, [check.clean])
    shifted = _logits(tail, check.shifted)
    truths = check.labels, np.tile(check.labels, len(check.shifted))
    temperature = fit_temperature(np.concatenate([clean, shifted]), np.concatenate(truths))
    figures: list[float] = []
    for logits, truth in zip((clean, shifted), truths, strict=True):
        figures.append(-float(log_softmax(logits / temperature, axis=1)[np.arange(len(truth)), truth].mean()))
        figures.append(float((logits.argmax(axis=1) == truth).mean()))
    return figures[0], figures[1], figures[2], figures[3]


def _logits(tail: keras.Model, files: Sequence[Path]) -> Floats:
    return np.concatenate([predict(tail, np.load(file, mmap_mode="r"))[LOGITS] for file in files])


def predict(tail: keras.Model, maps: NDArray[np.floating]) -> dict[str, Floats]:
    """Outputs of ``tail`` for middle maps (n, h, w, m), float32, by name."""
    parts = [
        tail.predict_on_batch(maps[start : start + BATCH].astype(np.float32)) for start in range(0, len(maps), BATCH)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class _FixedStatistics(keras.Model):  # type: ignore[misc]  # Keras has no type hints.
    """The tail's logits, with BatchNorm as in inference also while training."""

    def __init__(self, tail: keras.Model) -> None:
        super().__init__(name="fixed_statistics")
        self.tail = tail

    def call(self, maps: keras.KerasTensor) -> keras.KerasTensor:
        return self.tail(maps, training=False)[LOGITS]


class _Student:
    """A tail with its optimizer and the moving average of its weights."""

    def __init__(self, tail: keras.Model, schedule: keras.optimizers.schedules.LearningRateSchedule) -> None:
        self._variables = tail.trainable_variables
        self._model = _FixedStatistics(tail)
        self._optimizer = keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY, global_clipnorm=1.0)
        self._optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
        self._optimizer.build(self._variables)
        self._model.compile(self._optimizer, keras.losses.CategoricalCrossentropy(from_logits=True))
        self.average: Arrays = self._weights()

    @property
    def learning_rate(self) -> float:
        return float(self._optimizer.learning_rate)

    def learn(self, maps: Floats, targets: Floats, weights: Floats) -> float:
        """Take one step; the loss before it."""
        self._model.reset_metrics()
        loss = self._model.train_on_batch(maps, targets, sample_weight=weights)
        # Early on the start would weigh too much in an average over a hundred steps.
        steps = int(self._optimizer.iterations)
        kept = min(AVERAGING, steps / (steps + 9))
        self.average = [
            (kept * old + (1 - kept) * new).astype(np.float32)
            for old, new in zip(self.average, self._weights(), strict=True)
        ]
        return float(loss)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The tail with the averaged weights, for a while."""
        learnt = self._weights()
        self.assign(self.average)
        yield
        self.assign(learnt)

    def assign(self, weights: Arrays) -> None:
        for variable, value in zip(self._variables, weights, strict=True):
            variable.assign(value)

    def state(self, history: tuple[Epoch, ...], best: Arrays) -> Checkpoint:
        optimizer = [_array(variable) for variable in self._optimizer.variables]
        return Checkpoint(history, self._weights(), self.average, best, optimizer)

    def restore(self, checkpoint: Checkpoint) -> None:
        self.assign(checkpoint.weights)
        self.average = checkpoint.average
        for variable, value in zip(self._optimizer.variables, checkpoint.optimizer, strict=True):
            variable.assign(value)

    def _weights(self) -> Arrays:
        return [_array(variable) for variable in self._variables]


def _array(variable: keras.Variable) -> NDArray[np.float32]:
    # A copy: a backend may hand out its own memory, which the next step overwrites.
    return np.array(keras.ops.convert_to_numpy(variable))
