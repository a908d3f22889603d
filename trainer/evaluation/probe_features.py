"""Features of the frozen backbone for 'trainer probe', kept on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import Dataset


def cached_features(dataset: Dataset, weights: str, alpha: float, out: Path) -> NDArray[np.float32]:
    """Pooled features of the frozen backbone, float32 (n, d), kept in ``out`` for the next time.

    Raises ``WeightsError``.
    """
    # Keras and TensorFlow take seconds to import, which '--help' need not wait for.
    import keras  # noqa: PLC0415

    from trainer.networks.backbone import load_backbone  # noqa: PLC0415
    from trainer.networks.frozen_features import Variants, cache_outputs  # noqa: PLC0415

    key = hashlib.sha256(f"{alpha} {weights} {[file.sha256 for file in dataset.files]}".encode()).hexdigest()
    path = out / f"features-{key[:16]}.npy"
    out.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        backbone = load_backbone(alpha, weights)
        pooled = keras.Model(backbone.input, keras.layers.GlobalAveragePooling2D()(backbone.output))
        cache_outputs({path: pooled}, Variants(dataset.fields, "rgb@1", "none"), "Features of the backbone")
    return np.asarray(np.load(path), np.float32)
