"""Our own networks as int8 files, alone and averaged."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from edge_agent.inference import Classifier, load_bundle
from trainer.comparison.classifier import ComparedClassifier, Fields, Scores
from trainer.export.bundle_files import uncalibrated_classifier
from trainer.networks.int8 import preprocess_for


class Int8Network:
    """An int8 file, run by the device's own classifier."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self.size_bytes = classifier.bundle.model_path.stat().st_size

    @classmethod
    def from_run(cls, run: Path) -> Self:
        """The int8 file of a quantized run. Raises ``TrainerError``."""
        with tempfile.TemporaryDirectory() as folder:
            return cls(uncalibrated_classifier(run, Path(folder)))

    @classmethod
    def from_bundle(cls, name: str) -> Self:
        """The int8 file of a shipped bundle, by its name, or of a bundle's folder. Raises ``BundleError``."""
        return cls(Classifier(load_bundle(name)))

    def scores(self, fields: Fields) -> Scores:
        """See ``ComparedClassifier``."""
        return np.stack([self._classifier.classify(preprocess_for(field, self._classifier)).logits for field in fields])


class Ensemble:
    """Several classifiers' scores, averaged."""

    def __init__(self, members: Sequence[ComparedClassifier]) -> None:
        self._members = members
        self.size_bytes = sum(member.size_bytes for member in members)

    def scores(self, fields: Fields) -> Scores:
        """See ``ComparedClassifier``."""
        return np.asarray(np.mean([member.scores(fields) for member in self._members], axis=0))
