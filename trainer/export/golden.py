"""Golden vectors: the outputs that a bundle must give for drawn smears, wherever it runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.cameras.smear import SMEAR_LABELS, draw_smear
from edge_agent.inference import Classifier
from edge_agent.inference.bundle import GOLDEN
from trainer.networks.int8 import preprocess_for
from trainer.spec import INPUT_SIZE_PX


def golden_vectors(folder: Path, classifier: Classifier) -> bytes:
    """``golden.npz``: one drawn smear of each kind, as drawn and as preprocessed, with its logits and score here."""
    # Without noise and slightly blurred, for a small file.
    fields = np.stack(
        [
            draw_smear(
                np.random.default_rng(seed),
                label,
                size_px=(INPUT_SIZE_PX, INPUT_SIZE_PX),
                focus_sigma_px=1.0,
                noise_sigma_levels=0.0,
            )[0]
            for seed, label in enumerate(SMEAR_LABELS)
        ]
    )
    return vectors_of(folder, classifier, fields)


def vectors_of(folder: Path, classifier: Classifier, drawn: NDArray[np.uint8]) -> bytes:
    """Build ``golden.npz`` from pictures uint8 RGB (n, h, w, 3) of the input's shape, which it keeps at 32 levels.

    The file is written to ``folder``.
    """
    # This makes the file a third of the size.
    fields = drawn & np.uint8(0xF8)
    images = np.stack([preprocess_for(field, classifier) for field in fields])
    outputs = [classifier.classify(image) for image in images]
    path = folder / GOLDEN
    np.savez_compressed(
        path,
        field=fields,
        image=images,
        logits=np.stack([each.logits for each in outputs]),
        unfamiliarity=np.array([each.unfamiliarity_score for each in outputs], np.float32),
    )
    return path.read_bytes()
