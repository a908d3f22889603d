"""Fits the familiarity of a cells bundle: nucleated cells of any laboratory are familiar, things beside them are not.

A Gaussian of the cells' descriptions, as of fields, is wide here: cells of many types and laboratories differ more from
each other than a platelet from a small lymphocyte. So its whitening is only the start of the fit. It is bent, as little
as possible, until foreign windows lie farther out than cells. The distance, and the agent's use of it, stay the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from edge_agent.inference import Classifier
from edge_agent.inference.familiarity import Familiarity, describe
from trainer.cells.foreign.examples import draw_cells, draw_foreign
from trainer.cells.windows.canvases import Canvases
from trainer.errors import DataError
from trainer.networks.int8 import preprocess_for
from trainer.progress import track
from trainer.training.familiarity import fit_familiarity

MAX_CELLS_COUNT = 12_000
VARIANTS_COUNT = 5
"""Most windows of cells that familiarity is fitted with: in all, and for each cell on average."""

MAX_FOREIGN_COUNT = 300
"""Most windows of each foreign kind; never more than there are cells."""

FOREIGN_WEIGHT = 8.0
"""A foreign window that is taken for a cell counts as much as this many refused cells."""

STIFFNESS = 3e-4
"""Cost of bending. Less is better for what was fitted, worse for laboratories and foreign things never seen."""

_MAX_ITERATIONS = 100

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CellsFamiliarity:
    """The familiarity and its limit, for a cells bundle."""

    familiarity: Familiarity
    max_unfamiliarity_score: float
    """Score at which a cell and a foreign window are equally likely, by weight; rounded up to what messages show."""


def fit_cells_familiarity(
    classifier: Classifier, canvases: Canvases, positions: Sequence[int], *, seed: int = 0
) -> CellsFamiliarity:
    """Fit familiarity through a bundle's int8 file, to varied windows of the canvases at ``positions``.

    ``positions`` are those of the cells for training, and of the pictures that are listed as no cell and must be
    refused. The bundle's own familiarity and limit do not matter. Raises ``DataError`` if no nucleated cell is among
    them, and ``InferenceError``.
    """
    nucleated = [at for at in positions if canvases.cells[at].is_nucleated]
    if not nucleated:
        raise DataError("there is no nucleated cell to fit familiarity to.", remedy="Check the split.")
    cells_rng, foreign_rng = (np.random.default_rng(each) for each in np.random.SeedSequence(seed).spawn(2))
    count = min(MAX_CELLS_COUNT, VARIANTS_COUNT * len(nucleated))
    cells = _describe(classifier, draw_cells(canvases, nucleated, count, cells_rng), count)
    foreign = list(draw_foreign(canvases, positions, min(MAX_FOREIGN_COUNT, len(nucleated)), foreign_rng))
    return bend(
        fit_familiarity(cells),
        cells,
        _describe(classifier, (each.window for each in foreign), len(foreign)),
        [each.kind for each in foreign],
    )


def bend(
    gaussian: Familiarity, cells: NDArray[np.float32], foreign: NDArray[np.float32], kinds: Sequence[str]
) -> CellsFamiliarity:
    """Bend a Gaussian until ``foreign`` descriptions (m, d) lie farther out than ``cells`` (n, d), and find the limit.

    ``kinds`` has the kind of each foreign description; all kinds count alike. This is a logistic regression on the
    distance, whose whitening and mean are drawn back to those of the Gaussian.
    """
    _, at, counts = np.unique(np.asarray(kinds), return_inverse=True, return_counts=True)
    points = _whitened(gaussian, np.concatenate([cells, foreign]))
    weights = np.concatenate([np.full(len(cells), 1 / len(cells)), FOREIGN_WEIGHT / (len(counts) * counts[at])])
    signs = np.concatenate([-np.ones(len(cells)), np.ones(len(foreign))])
    bending, shift, limit = _fit(points, weights / weights.sum(), signs)
    whitening = gaussian.whitening.astype(np.float64)
    mean = gaussian.mean + np.linalg.solve(whitening, shift)
    return CellsFamiliarity(
        Familiarity(mean.astype(np.float32), (bending @ whitening).astype(np.float32)), math.ceil(limit * 1000) / 1000
    )


def _fit(points: Floats, weights: Floats, signs: Floats) -> tuple[Floats, Floats, float]:
    """A matrix (d, d), a middle (d,) and a limit: points (n, d) of sign 1 lie beyond the limit, of sign -1 within."""
    size = points.shape[1]
    identity = np.eye(size)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        """The loss and its gradient."""
        bending = parameters[: size * size].reshape(size, size)
        shift, limit = parameters[-size - 1 : -1], parameters[-1]
        centred = points - shift
        bent = centred @ bending.T
        # The small number keeps the root smooth where a point coincides with the middle.
        distances = np.sqrt((bent**2).sum(axis=1) + 1e-9)
        margins = signs * (distances - limit)
        cost = float(weights @ np.logaddexp(0, -margins))
        slopes = -weights * signs * np.exp(-np.logaddexp(0, margins))
        pulls = bent * (slopes / distances)[:, None]
        stretched = bending - identity
        gradient = np.concatenate(
            [
                (pulls.T @ centred + 2 * STIFFNESS * stretched).ravel(),
                2 * STIFFNESS * shift - bending.T @ pulls.sum(axis=0),
                [-slopes.sum()],
            ]
        )
        return cost + STIFFNESS * float((stretched**2).sum() + shift @ shift), gradient

    start = np.concatenate([identity.ravel(), np.zeros(size), [1.3 * math.sqrt(size)]])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _MAX_ITERATIONS}).x
    return found[: size * size].reshape(size, size), found[-size - 1 : -1], float(found[-1])


def _whitened(gaussian: Familiarity, descriptions: NDArray[np.float32]) -> Floats:
    whitening = gaussian.whitening.astype(np.float64)
    return np.asarray((descriptions.astype(np.float64) - gaussian.mean) @ whitening.T, np.float64)


def _describe(classifier: Classifier, windows: Iterable[NDArray[np.uint8]], count: int) -> NDArray[np.float32]:
    """Descriptions (n, d) of windows, ``count`` of them."""
    steps = zip(track(range(count), "Fitting familiarity"), windows, strict=True)
    images = (preprocess_for(window, classifier) for _, window in steps)
    return np.stack([describe(image, classifier.classify(image).middle_map) for image in images])
