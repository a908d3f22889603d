"""Augments batches of middle maps: orientations and mixup."""

from __future__ import annotations

import numpy as np

from trainer.training.tail import Floats

MIXING = 0.2
"""Both parameters of the Beta distribution from which the other image's share is drawn: it is mostly small."""


def turn_maps(maps: Floats, rng: np.random.Generator) -> Floats:
    """Turn each map (n, s, s, m) into one of its eight orientations: cheaper variety than another variant.

    The map of a turned image is not quite the turned map, but the tail has to cope with both.
    """
    turns, mirrored = rng.integers(4, size=len(maps)), rng.random(len(maps)) < 0.5
    return np.stack(
        [
            np.rot90(one[:, ::-1] if mirror else one, quarter)
            for one, quarter, mirror in zip(maps, turns, mirrored, strict=True)
        ]
    )


def mix(maps: Floats, targets: Floats, weights: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Mix each image, and its target, with a share of another of the batch (mixup, Zhang et al., 2018).

    The network learns to be uncertain between classes, which keeps its probabilities from being too high.
    """
    share = rng.beta(MIXING, MIXING, len(maps)).astype(np.float32)
    share = np.minimum(share, 1 - share)
    other = rng.permutation(len(maps))
    mixed_maps = maps + share[:, None, None, None] * (maps[other] - maps)
    return (
        mixed_maps,
        targets + share[:, None] * (targets[other] - targets),
        weights + share * (weights[other] - weights),
    )
