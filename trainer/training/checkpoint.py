"""The state of a training after an epoch, in one file, so that a killed training resumes from there."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from trainer.errors import RunError
from trainer.files import replacing

_HISTORY = "history"

Arrays = list[NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch's figures. Losses are mean cross-entropies in nats.

    Validation figures are those of the averaged weights, and the losses are at the temperature that suits them. Epoch 0
    is the start, the linear head on layers that were not trained yet, and has no training loss.
    """

    epoch: int
    learning_rate: float
    training_loss: float | None
    clean_loss: float
    clean_accuracy_ratio: float
    shifted_loss: float
    shifted_accuracy_ratio: float
    seconds: float

    @property
    def validation_loss(self) -> float:
        """The loss that early stopping uses: clean and shifted images have the same weight."""
        return (self.clean_loss + self.shifted_loss) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """State after an epoch: trained weights, their moving average, the best such average, and the optimizer's state."""

    history: tuple[Epoch, ...]
    weights: Arrays
    average: Arrays
    best: Arrays
    optimizer: Arrays

    @property
    def best_epoch(self) -> Epoch:
        """The epoch whose averaged weights are ``best``."""
        return min(self.history, key=lambda each: each.validation_loss)


_GROUPS = ("weights", "average", "best", "optimizer")


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the last checkpoint in one step. Raises ``OutputUnwritable``, in which case the last one stays."""
    arrays: dict[str, Any] = {
        f"{group}/{index:04d}": array for group in _GROUPS for index, array in enumerate(getattr(checkpoint, group))
    }
    history = json.dumps([asdict(each) for each in checkpoint.history])
    arrays[_HISTORY] = np.array(history)
    with replacing(path) as file:
        np.savez(file, **arrays)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint, or None where none has been written yet. Raises ``RunError`` for a damaged one."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}).") from error
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            history = tuple(Epoch(**each) for each in json.loads(str(arrays[_HISTORY])))
            groups = {
                group: [arrays[key] for key in sorted(arrays.files) if key.startswith(f"{group}/")] for group in _GROUPS
            }
    except (EOFError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise RunError(f"{path} is damaged: {error}.", remedy="Remove it to start the training again.") from error
    return Checkpoint(history, **groups)
