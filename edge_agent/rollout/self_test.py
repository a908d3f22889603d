"""Tests whether a model gives its golden outputs on this machine, and fast enough."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import SelfTestSlow
from edge_agent.inference.bundle import load_golden
from edge_agent.inference.classifier import Classifier

ROUNDS = 5

Clock = Callable[[], float]


def self_test(
    candidate: Classifier,
    active: Classifier,
    *,
    max_slowdown_ratio: float,
    fast_enough_ms: float,
    clock: Clock = time.perf_counter,
) -> None:
    """Compare the candidate's golden outputs, and its median time per golden field with that of the model in use.

    The two take turns, so that other work of the machine slows both. Neither may be in use by another thread. Raises
    ``GoldenMismatch``, ``BundleError``, ``InferenceError`` or ``SelfTestSlow``.
    """
    candidate.verify_golden()
    candidate_s, active_s = [], []
    candidate_images, active_images = load_golden(candidate.bundle).image, load_golden(active.bundle).image
    for _ in range(ROUNDS):
        candidate_s += _times_s(candidate, candidate_images, clock)
        active_s += _times_s(active, active_images, clock)
    took_ms, usual_ms = 1e3 * statistics.median(candidate_s), 1e3 * statistics.median(active_s)
    if took_ms > fast_enough_ms and took_ms > max_slowdown_ratio * usual_ms:
        raise SelfTestSlow(
            f"{candidate.manifest.name} takes {took_ms:.0f} ms per field here, the model in use {usual_ms:.0f} ms."
        )


def _times_s(classifier: Classifier, images: NDArray[np.uint8], clock: Clock) -> list[float]:
    times_s = []
    for image in images:
        began = clock()
        classifier.classify(image)
        times_s.append(clock() - began)
    return times_s
