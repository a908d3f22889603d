"""Fits what a bundle is familiar with: one Gaussian of its training fields and their plausible variants.

Fitted on unchanged fields, it would refuse the same smear under another lamp, so it is fitted on varied fields. The
variations and their strengths define on which images the model may be used. Training varies more: there, a variation
only has to leave the label as it is; here, it must also have been tested.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from edge_agent.inference.familiarity import Familiarity

VARIANTS_COUNT = 5
"""Varied descriptions of each training field."""


def fit_familiarity(descriptions: NDArray[np.float32]) -> Familiarity:
    """The Gaussian of descriptions (n, d), its covariance shrunk as by Ledoit and Wolf (2004).

    Values that never vary get a little variance, so that every field has a distance.
    """
    scale = descriptions.std(axis=0, dtype=np.float64) + 1e-6
    gaussian = LedoitWolf().fit(descriptions / scale)
    whitening = np.linalg.cholesky(gaussian.precision_).T / scale
    return Familiarity((gaussian.location_ * scale).astype(np.float32), whitening.astype(np.float32))


def placeholder_familiarity(descriptions_size: int) -> Familiarity:
    """Takes the place of the fitted one in an unfinished bundle."""
    return Familiarity(np.zeros(descriptions_size, np.float32), np.eye(descriptions_size, dtype=np.float32))


def to_npz(familiarity: Familiarity) -> bytes:
    """``ood.npz``."""
    file = io.BytesIO()
    np.savez(file, mean=familiarity.mean, whitening=familiarity.whitening)
    return file.getvalue()
