"""Runs the network in a thread of its own, so that the rest of a field is analysed meanwhile."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.inference.classifier import Classification, Classifier


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The network's output for one field."""

    classification: Classification
    inference_ms: float


class NetworkThread:
    """A thread with a classifier that judges fields one after the other, in the order in which they come.

    Only this thread may use the classifier. The thread ends with the object.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._executor = ThreadPoolExecutor(1, "network")

    def start(self, image: NDArray[np.uint8]) -> Future[Judged]:
        """Judge a preprocessed uint8 field (h, w, 3), which must not change meanwhile; errors as ``classify``."""
        return self._executor.submit(self._judge, image)

    def _judge(self, image: NDArray[np.uint8]) -> Judged:
        began = time.perf_counter()
        classification = self._classifier.classify(image)
        return Judged(classification, (time.perf_counter() - began) * 1e3)
