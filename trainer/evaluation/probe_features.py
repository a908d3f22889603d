"""Features of the frozen backbone for 'trainer probe', kept on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import Dataset
from trainer.files import make_folder
from trainer.networks.backbone import load_backbone
from trainer.networks.frozen_features import Variants, cache_outputs, read_outputs


def check_weights(weights: str, alpha: float, out: Path) -> None:
    """Raise ``WeightsError`` for unusable weights, unless ``out`` holds features, so that none may be needed."""
    if not any(out.glob("features-*.npy")):
        load_backbone(alpha, weights)


def cached_features(dataset: Dataset, weights: str, alpha: float, out: Path) -> NDArray[np.float32]:
    """Pooled features of the frozen backbone, float32 (n, d), kept in ``out`` for the next time.

    Raises ``WeightsError``, ``RunError`` or ``OutputUnwritable``.
    """
    key = hashlib.sha256(f"{alpha} {weights} {[file.sha256 for file in dataset.files]}".encode()).hexdigest()
    path = out / f"features-{key[:16]}.npy"
    make_folder(out)
    if not path.exists():
        backbone = load_backbone(alpha, weights)
        pooled = keras.Model(backbone.input, keras.layers.GlobalAveragePooling2D()(backbone.output))
        cache_outputs({path: pooled}, Variants(dataset.fields, "rgb@1", "none"), "Features of the backbone")
    return np.asarray(read_outputs(path), np.float32)
