"""A tail in training: its optimizer and the moving average of its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.spec import LOGITS
from trainer.training.checkpoint import Arrays, Checkpoint, Epoch
from trainer.training.tail import Floats

WEIGHT_DECAY = 0.02
AVERAGING = 0.99
"""Share that the moving average of the weights keeps at each step: it spans about a hundred steps."""


class _FixedStatistics(keras.Model):  # type: ignore[misc]  # Keras has no type hints.
    """The tail's logits, with BatchNorm as in inference also while training."""

    def __init__(self, tail: keras.Model, logits: str) -> None:
        super().__init__(name="fixed_statistics")
        self.tail = tail
        self._logits = logits

    def call(self, maps: keras.KerasTensor) -> keras.KerasTensor:
        return self.tail(maps, training=False)[self._logits]


class Student:
    """A tail with its optimizer and the moving average of its weights."""

    def __init__(
        self, tail: keras.Model, schedule: keras.optimizers.schedules.LearningRateSchedule, logits: str = LOGITS
    ) -> None:
        """``logits`` is the name of the output that is trained."""
        self._variables = tail.trainable_variables
        self._model = _FixedStatistics(tail, logits)
        self._optimizer = keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY, global_clipnorm=1.0)
        self._optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
        self._optimizer.build(self._variables)
        self._model.compile(self._optimizer, keras.losses.CategoricalCrossentropy(from_logits=True))
        self.average: Arrays = self._weights()

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return float(self._optimizer.learning_rate)

    def learn(self, maps: Floats, targets: Floats, weights: Floats) -> float:
        """Take one step; returns the loss before it."""
        self._model.reset_metrics()
        loss = self._model.train_on_batch(maps, targets, sample_weight=weights)
        # Early on, an average over a hundred steps would give the initial weights too much weight.
        steps = int(self._optimizer.iterations)
        kept = min(AVERAGING, steps / (steps + 9))
        self.average = [
            (kept * old + (1 - kept) * new).astype(np.float32)
            for old, new in zip(self.average, self._weights(), strict=True)
        ]
        return float(loss)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Give the tail the averaged weights inside the context."""
        trained = self._weights()
        self.assign(self.average)
        yield
        self.assign(trained)

    def assign(self, weights: Arrays) -> None:
        """Give the tail these weights."""
        for variable, value in zip(self._variables, weights, strict=True):
            variable.assign(value)

    def state(self, history: tuple[Epoch, ...], best: Arrays) -> Checkpoint:
        """Everything that resuming needs."""
        optimizer = [_array(variable) for variable in self._optimizer.variables]
        return Checkpoint(history, self._weights(), self.average, best, optimizer)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Resume from ``checkpoint``."""
        self.assign(checkpoint.weights)
        self.average = checkpoint.average
        for variable, value in zip(self._optimizer.variables, checkpoint.optimizer, strict=True):
            variable.assign(value)

    def _weights(self) -> Arrays:
        return [_array(variable) for variable in self._variables]


def _array(variable: keras.Variable) -> NDArray[np.float32]:
    # A copy: a backend may hand out its own memory, which the next step overwrites.
    return np.array(keras.ops.convert_to_numpy(variable))
