"""Runs images through a bundle exactly as the agent does: preprocessing, int8 file, refusals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic_ns
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.cell_analyzer import CellAnalyzer
from edge_agent.analysis.cell_scale import measure_scale
from edge_agent.analysis.reading import Reading
from edge_agent.cameras.frame import ColourOrder, Encoded, Frame, Pixels
from edge_agent.contracts import Manifest, Outcome
from edge_agent.errors import InferenceError
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.appearance import Appearance
from edge_agent.vision.settings import QualityLimits
from trainer.networks.int8 import preprocess_for
from trainer.progress import track


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """The whole agent's answers for n fields."""

    probabilities: NDArray[np.float64]
    """(n, c): the network's probabilities, also of fields that the agent refused before or after asking it."""
    answered: NDArray[np.bool_]
    """(n,): where the agent gave a label."""
    reasons: tuple[str | None, ...]
    """Why the agent gave no label, or None where it gave one."""
    latency_ms: dict[str, NDArray[np.float64]]
    """Per stage, of the fields that went through it."""

    @property
    def top(self) -> NDArray[np.int64]:
        """(n,): index of the top class, refused or not."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    @property
    def answers(self) -> NDArray[np.int64]:
        """(n,): index of the answered label, -1 where refused."""
        return np.where(self.answered, self.top, -1)

    @property
    def refusals(self) -> dict[str, int]:
        """The number of refusals by reason, the commonest first."""
        return dict(Counter(reason for reason in self.reasons if reason is not None).most_common())


class BundleAnalyzer:
    """The agent's analyzer of one bundle, with the default quality limits."""

    def __init__(self, classifier: Classifier, *, as_cell: bool = False) -> None:
        """With ``as_cell``, read each picture as a single cell, by a cells bundle. Raises ``BundleWrongKind``."""
        self.classifier = classifier
        self._analyzer = Analyzer(classifier, QualityLimits(), proof=None)
        self._cell_analyzer = CellAnalyzer(classifier, proof=None) if as_cell else None

    @classmethod
    def load(cls, bundle: str) -> Self:
        """The analyzer of a shipped bundle, by its name, or of a bundle's folder. Raises ``BundleError``."""
        return cls(Classifier(load_bundle(bundle)))

    @property
    def manifest(self) -> Manifest:
        """The manifest of the bundle in use."""
        return self.classifier.manifest

    def find_scale(self, images: Iterable[Pixels | Encoded]) -> None:
        """Measure in ``images`` the scale of the single cells that are read next; nothing is measured of fields."""
        if self._cell_analyzer is not None:
            self._cell_analyzer.scale = measure_scale(images)

    def read(self, image: Pixels | Encoded) -> Reading:
        """The agent's reading of one picture, as if it were a camera's frame."""
        analyzer = self._analyzer if self._cell_analyzer is None else self._cell_analyzer
        return analyzer.analyse(Frame("evaluation", datetime.now(UTC), monotonic_ns(), image))

    def measure_appearance(self, image: Pixels | Encoded) -> Appearance | None:
        """The agent's simple measures of one picture; None if it is not fit to be judged."""
        return self._analyzer.measure_appearance(Frame("evaluation", datetime.now(UTC), monotonic_ns(), image))

    def predict_fields(self, fields: NDArray[np.uint8], what: str = "Analyzing images") -> Predictions:
        """Analyze fields, uint8 RGB (n, 224, 224, 3). Raises ``InferenceError``."""
        return self.predict([Pixels(field, ColourOrder.RGB) for field in fields], what)

    def predict(self, images: Sequence[Pixels | Encoded], what: str = "Analyzing images") -> Predictions:
        """Analyze readable pictures, each at least as large as the model's input. Raises ``InferenceError``."""
        readings = [self.read(image) for image in track(images, what)]
        answered = np.array([reading.outcome is Outcome.CLASSIFIED for reading in readings])
        stages = dict.fromkeys(stage for reading in readings for stage in reading.latency_ms)
        return Predictions(
            np.stack([self._probabilities(reading) for reading in readings]),
            answered,
            tuple(None if reading.reason is None else reading.reason.value for reading in readings),
            {
                stage: np.array([reading.latency_ms[stage] for reading in readings if stage in reading.latency_ms])
                for stage in stages
            },
        )

    def _probabilities(self, reading: Reading) -> NDArray[np.float64]:
        if reading.probabilities is not None:
            return np.array([reading.probabilities[label.code] for label in self.manifest.labels])
        if reading.explanation is None:
            cause = reading.reason if reading.error is None else reading.error.message
            raise InferenceError(f"an image of the evaluation cannot be classified: {cause}")
        return self.classifier.classify(preprocess_for(reading.explanation.field, self.classifier)).probabilities
