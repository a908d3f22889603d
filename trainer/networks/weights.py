"""Weights of networks as ``.npz`` files with keys ``layer/variable``."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.errors import WeightsError
from trainer.files import replacing

BATCH_NORM_EPSILON = 1e-3


Weights = Mapping[str, NDArray[np.float32]]


def read_weights(path: Path) -> Weights:
    """Arrays of an ``.npz`` by their keys ``layer/variable``. Raises ``WeightsError``."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            return {key: arrays[key].astype(np.float32) for key in arrays.files}
    except (OSError, EOFError, ValueError, BadZipFile, zlib.error, AttributeError, TypeError) as error:
        raise WeightsError(f"weights cannot be read from {path}: {error}.") from error


def write_weights(path: Path, weights: Weights) -> None:
    """Write what ``read_weights`` reads, all or nothing. Raises ``OutputUnwritable``."""
    arrays: dict[str, Any] = dict(weights)
    with replacing(path) as file:
        np.savez(file, **arrays)


def named_weights(model: keras.Model) -> dict[str, NDArray[np.float32]]:
    """Every variable of a model under ``layer/variable``, as ``set_weights`` takes them."""
    return {
        f"{layer.name}/{variable.name}": np.asarray(variable.numpy(), dtype=np.float32)
        for layer in model.layers
        for variable in layer.weights
    }


def set_weights(model: keras.Model, weights: Weights) -> None:
    """Give every variable of ``model`` its value. Raises ``WeightsError`` if one is missing, left over or misshapen.

    Where BatchNorm is folded into the convolutions (``Conv1/bias``), BatchNorm becomes the identity plus that bias.
    Before it can be fine-tuned, it has to be re-parametrised with measured mean and variance.
    """
    wanted = unfold(weights) if _is_folded(weights) else dict(weights)
    variables = {f"{layer.name}/{variable.name}": variable for layer in model.layers for variable in layer.weights}
    # Older Keras named a depthwise kernel 'depthwise_kernel'.
    given = {key.replace("/depthwise_kernel", "/kernel"): value for key, value in wanted.items()}
    if missing := sorted(set(variables) - set(given)):
        raise WeightsError(f"the weights lack {missing[0]} and {len(missing) - 1} more variables.")
    if surplus := sorted(set(given) - set(variables)):
        raise WeightsError(f"the network has no variable {surplus[0]}, nor {len(surplus) - 1} more.")
    for key, variable in variables.items():
        if tuple(variable.shape) != given[key].shape:
            raise WeightsError(f"{key} has shape {given[key].shape} where the network needs {tuple(variable.shape)}.")
        variable.assign(given[key])


def unfold(folded: Weights) -> dict[str, NDArray[np.float32]]:
    """Weights with BatchNorm folded, as weights with BatchNorm that compute the same.

    Kernels stay; each ``.../bias`` becomes the beta of a BatchNorm whose scale is one:
    gamma 1, mean 0 and variance 1 - epsilon.
    """
    unfolded: dict[str, NDArray[np.float32]] = {}
    for key, value in folded.items():
        layer, variable = key.rsplit("/", 1)
        if variable != "bias":
            unfolded[key] = value
            continue
        norm = _batch_norm_of(layer)
        unfolded[f"{norm}/beta"] = value
        unfolded[f"{norm}/gamma"] = np.ones_like(value)
        unfolded[f"{norm}/moving_mean"] = np.zeros_like(value)
        unfolded[f"{norm}/moving_variance"] = np.full_like(value, 1.0 - BATCH_NORM_EPSILON)
    return unfolded


def _is_folded(weights: Weights) -> bool:
    return "Conv1/bias" in weights


def _batch_norm_of(layer: str) -> str:
    return {"Conv1": "bn_Conv1", "Conv_1": "Conv_1_bn"}.get(layer, f"{layer}_BN")
