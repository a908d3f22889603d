"""Runs images through the file that ships, by the agent's own preprocessing and classifier."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_agent.inference import Classifier
from edge_agent.vision.preprocessing import preprocess
from trainer.progress import track


def prepare(field: NDArray[np.uint8], classifier: Classifier) -> NDArray[np.uint8]:
    """A field, uint8 RGB (224, 224, 3), as the bundle's network sees it, uint8 of the same shape."""
    wanted = classifier.manifest.preprocessing
    return preprocess(field, wanted.id, wanted.denoise)


def judge_fields(classifier: Classifier, fields: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits float32 (n, c) of fields uint8 RGB (n, 224, 224, 3). Raises ``InferenceError``."""
    return np.stack(
        [
            classifier.classify(prepare(field, classifier)).logits
            for field in track(list(fields), "Judging by the int8 file")
        ]
    )
