"""Runs images through what ships: the int8 file, and the agent's own preprocessing, classifier and refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic_ns
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import Reading
from edge_agent.cameras.frame import ColourOrder, Encoded, Frame, Pixels
from edge_agent.contracts import Manifest, Outcome
from edge_agent.errors import InferenceError
from edge_agent.inference import Classifier, load_bundle
from edge_agent.vision.preprocessing import preprocess
from edge_agent.vision.quality import QualityLimits
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


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What the whole agent says of n fields."""

    probabilities: NDArray[np.float64]
    """(n, c): the network's, also of fields that the agent refused before or after asking it."""
    answered: NDArray[np.bool_]
    """(n,): where the agent gave a label."""
    reasons: tuple[str | None, ...]
    """Why not, where it did not."""
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


class Judge:
    """An agent's analyzer with the default limits of quality, and its classifier, of one bundle."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self._analyzer = Analyzer(classifier, QualityLimits())

    @classmethod
    def of(cls, bundle: str) -> Self:
        """The judge of a shipped bundle's name, or of a folder. Raises ``BundleError``."""
        return cls(Classifier(load_bundle(bundle)))

    @property
    def manifest(self) -> Manifest:
        """Of the bundle in use."""
        return self.classifier.manifest

    def read(self, image: Pixels | Encoded) -> Reading:
        """The agent's reading of one picture, as of a frame that came by itself."""
        return self._analyzer.analyse(Frame("evaluation", datetime.now(UTC), monotonic_ns(), image))

    def judge_fields(self, fields: NDArray[np.uint8], what: str = "Judging") -> Judgement:
        """Judge fields uint8 RGB (n, 224, 224, 3). Raises ``InferenceError``."""
        return self.judge([Pixels(field, ColourOrder.RGB) for field in fields], what)

    def judge(self, images: Sequence[Pixels | Encoded], what: str = "Judging") -> Judgement:
        """Judge readable pictures, each at least as large as the model's input. Raises ``InferenceError``."""
        readings = [self.read(image) for image in track(images, what)]
        answered = np.array([reading.outcome is Outcome.CLASSIFIED for reading in readings])
        stages = dict.fromkeys(stage for reading in readings for stage in reading.latency_ms)
        return Judgement(
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
            said = reading.reason if reading.error is None else reading.error.message
            raise InferenceError(f"an image of the evaluation was not judged: {said}")
        return self.classifier.classify(prepare(reading.explanation.field, self.classifier)).probabilities
