"""Fits which cells a bundle is familiar with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.inference import Classifier
from edge_agent.inference.familiarity import Familiarity
from trainer.cells.canvas_windows import cut_varied
from trainer.cells.canvases import Canvases
from trainer.networks.int8 import run_int8
from trainer.training.familiarity import fit_familiarity
from trainer.training.thresholds import choose_unfamiliarity_limit


@dataclass(frozen=True, slots=True, eq=False)
class CellsFamiliarity:
    """What goes into a cells bundle."""

    familiarity: Familiarity
    max_unfamiliarity_score: float


def fit_cells_familiarity(
    classifier: Classifier, canvases: Canvases, positions: Sequence[int], *, seed: int = 0
) -> CellsFamiliarity:
    """Fit it through a bundle's int8 file, to a varied window of each nucleated cell among those at ``positions``.

    Raises ``InferenceError``.
    """
    chosen = [canvases[at] for at in positions if canvases.cells[at].is_nucleated]
    described = run_int8(classifier, chosen, "Fitting familiarity", change=cut_varied, seed=seed).descriptions
    familiarity = fit_familiarity(described)
    scores = familiarity.distances(described)
    return CellsFamiliarity(familiarity, choose_unfamiliarity_limit(scores, scores))
