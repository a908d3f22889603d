"""Runs fields through a bundle's int8 file with the agent's own classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.inference import Classifier
from edge_agent.inference.familiarity import describe
from edge_agent.vision.preprocessing import preprocess
from trainer.augmentation.variants import Vary
from trainer.progress import track


def preprocess_for(field: NDArray[np.uint8], classifier: Classifier) -> NDArray[np.uint8]:
    """A field, uint8 RGB (224, 224, 3), as the bundle's network sees it, uint8 of the same shape."""
    preprocessing = classifier.manifest.preprocessing
    return preprocess(field, preprocessing.id, preprocessing.denoise)


def int8_logits(classifier: Classifier, fields: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits float32 (n, c) of fields uint8 RGB (n, 224, 224, 3). Raises ``InferenceError``."""
    return np.stack(
        [
            classifier.classify(preprocess_for(field, classifier)).logits
            for field in track(list(fields), "Running the int8 file")
        ]
    )


@dataclass(frozen=True, slots=True, eq=False)
class Int8Outputs:
    """The int8 file's outputs for n fields."""

    logits: NDArray[np.float32]
    """(n, c)."""
    descriptions: NDArray[np.float32]
    """(n, d): what familiarity is computed from."""


def run_int8(
    classifier: Classifier,
    fields: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
    what: str,
    *,
    change: Vary | None = None,
    seed: int = 0,
) -> Int8Outputs:
    """Classify and describe n fields uint8 RGB; ``change`` gives them the input's shape if they do not have it.

    ``change`` gets one generator per field, made from ``seed``. Raises ``InferenceError``.
    """
    generators = [np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(len(fields))]
    logits, descriptions = [], []
    for field, rng in zip(track(list(fields), what), generators, strict=True):
        image = preprocess_for(field if change is None else change(field, rng), classifier)
        classified = classifier.classify(image)
        logits.append(classified.logits)
        descriptions.append(describe(image, classified.middle_map))
    return Int8Outputs(np.stack(logits), np.stack(descriptions))
