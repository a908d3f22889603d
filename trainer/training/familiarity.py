"""Fits what a bundle is familiar with: one Gaussian of its training fields and of how these may vary.

Fitted on fields as they are, it would refuse the same smear under another lamp; so it is fitted on varied ones. What
varies, and how far, is the claim of what the model may be used on. It is not the variation that training uses, which
is stronger: there, harmless means that the label stays the same, here, that it was also tested.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from edge_agent.inference import Classifier
from edge_agent.inference.familiarity import Familiarity, describe
from trainer.augmentation.augment import draw_patch, overwrite_corner, turn
from trainer.augmentation.optics import (
    Field,
    blur,
    brighten,
    cover_corner,
    jpeg,
    noise,
    stain,
    white_balance,
    zoom_rotate,
)
from trainer.evaluation.judging import prepare
from trainer.networks.frozen_features import Vary
from trainer.progress import track

VARIANTS_COUNT = 5
"""Varied descriptions of each training field."""


def vary(field: Field, rng: np.random.Generator) -> Field:
    """One plausible variant of a uint8 RGB field (h, w, 3): another lamp, camera, focus, scale, batch of stain.

    All changes of light and colour and of scale share one strength, from none to full, so that fields almost as they
    are stay the commonest: a Gaussian fitted to strong changes alone would have sharp, clean fields at its margin.
    """
    varied = turn(field if rng.random() < 0.3 else cover_corner(field), rng)
    if rng.random() < 0.1:
        return varied
    strength = rng.uniform(0, 1)
    if rng.random() < 0.9:
        varied = zoom_rotate(varied, 1 + strength * rng.uniform(-0.2, 0.2), rng.uniform(0, 360))
    if rng.random() < 0.5:
        varied = stain(varied, 1 + strength * rng.uniform(-0.1, 0.1, 3), strength * rng.normal(0, 0.01, 3))
    varied = brighten(varied, 1 + strength * rng.uniform(-0.25, 0.25))
    varied = white_balance(varied, 1 + strength * rng.uniform(-0.13, 0.13, 3))
    if rng.random() < 0.6:
        varied = blur(varied, rng.uniform(0.3, 1.4))
    if rng.random() < 0.3:
        varied = noise(varied, rng.uniform(1, 5), rng)
    # What stands in a corner must not decide whether a field is known, so flat patches are commoner than they are.
    if rng.random() < 0.5:
        varied = (draw_patch if rng.random() < 0.5 else overwrite_corner)(varied, rng)
    return jpeg(varied, int(rng.integers(40, 96))) if rng.random() < 0.6 else varied


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """What the int8 file makes of n fields."""

    logits: NDArray[np.float32]
    """(n, c)."""
    descriptions: NDArray[np.float32]
    """(n, d): what familiarity goes by."""


def examine(
    classifier: Classifier, fields: NDArray[np.uint8], what: str, *, change: Vary | None = None, seed: int = 0
) -> Examined:
    """Classify and describe fields uint8 RGB (n, 224, 224, 3), each changed by ``change`` before.

    There is one generator per field, made from ``seed``. Raises ``InferenceError``.
    """
    generators = [np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(len(fields))]
    logits, descriptions = [], []
    for field, rng in zip(track(list(fields), what), generators, strict=True):
        image = prepare(field if change is None else change(field, rng), classifier)
        said = classifier.classify(image)
        logits.append(said.logits)
        descriptions.append(describe(image, said.middle_map))
    return Examined(np.stack(logits), np.stack(descriptions))


def fit_familiarity(descriptions: NDArray[np.float32]) -> Familiarity:
    """The Gaussian of descriptions (n, d), its covariance shrunk as by Ledoit and Wolf (2004).

    Values that never vary get a little variance, so that there is a distance whatever the fields.
    """
    scale = descriptions.std(axis=0, dtype=np.float64) + 1e-6
    gaussian = LedoitWolf().fit(descriptions / scale)
    whitening = np.linalg.cholesky(gaussian.precision_).T / scale
    return Familiarity((gaussian.location_ * scale).astype(np.float32), whitening.astype(np.float32))


def unknown_yet(descriptions_size: int) -> Familiarity:
    """Stands in a bundle until there is one that was fitted."""
    return Familiarity(np.zeros(descriptions_size, np.float32), np.eye(descriptions_size, dtype=np.float32))


def to_npz(familiarity: Familiarity) -> bytes:
    """``ood.npz``."""
    file = io.BytesIO()
    np.savez(file, mean=familiarity.mean, whitening=familiarity.whitening)
    return file.getvalue()
