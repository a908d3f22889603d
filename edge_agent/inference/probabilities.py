"""Probabilities of logits, by the rule that a manifest names."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_agent.contracts import Manifest


def bundle_probabilities(
    logits: NDArray[np.floating], manifest: Manifest, blast_offset: float = 0.0
) -> NDArray[np.float64]:
    """Probabilities (..., classes) of a bundle's own logits (..., classes). A head's are always a ``softmax``.

    ``blast_offset`` is that of ``blast_first``; it has no effect with another rule.
    """
    if manifest.cells is not None and manifest.cells.probabilities == "blast-first@1":
        return blast_first(logits, manifest.temperature, blast_offset)
    return softmax(logits, manifest.temperature)


def softmax(logits: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Probabilities (..., classes) of logits (..., classes) divided by ``temperature``."""
    scaled = np.asarray(logits, np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def blast_first(logits: NDArray[np.floating], temperature: float, blast_offset: float = 0.0) -> NDArray[np.float64]:
    """Probabilities (..., classes), of which the first answers a question of its own: whether the cell is a blast.

    The first of the logits (..., classes) are its log-odds. The others share the rest, by a softmax among them. All are
    divided by ``temperature``; ``blast_offset`` is then added to the log-odds.
    """
    # The two sides of the sigmoid, neither of which loses digits.
    log_odds = np.asarray(logits[..., :1], np.float64) / temperature + blast_offset
    sides = softmax(np.concatenate([log_odds, np.zeros_like(log_odds)], axis=-1), 1.0)
    return np.concatenate([sides[..., :1], sides[..., 1:] * softmax(logits[..., 1:], temperature)], axis=-1)
