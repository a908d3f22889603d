"""Judges a run's test cells through the bundle's int8 file, and makes the record from the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.contracts.manifest import ClassEvidence, Evidence, Thresholds
from edge_agent.inference import Classifier
from edge_agent.inference.familiarity import Familiarity
from edge_agent.inference.probabilities import bundle_probabilities
from trainer.cells.laboratories.listing import ListedCell
from trainer.cells.laboratories.sources import TYPES
from trainer.cells.windows.canvas_windows import cut_as_on_device
from trainer.networks.int8 import run_int8
from trainer.site.certainty import design_effect
from trainer.site.permutation import PERMUTATIONS, permutation_ratio

MAX_PATIENT_CELLS_COUNT = 20
"""Most cells of one patient that the record counts: otherwise a few patients with hundreds would decide."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Cells that had no part in training or in any choice, and the answers for them."""

    cells: tuple[ListedCell, ...]
    probabilities: NDArray[np.float64]
    """(n, 9), also of refused cells."""
    scores: NDArray[np.float32]
    """(n,): unfamiliarity."""
    thresholds: Thresholds

    @property
    def familiar(self) -> NDArray[np.bool_]:
        """(n,): whether the cell is familiar."""
        found: NDArray[np.bool_] = self.scores <= self.thresholds.max_unfamiliarity_score
        return found

    @property
    def answered(self) -> NDArray[np.bool_]:
        """(n,): where the agent would give a type, once the record allows it."""
        sure: NDArray[np.bool_] = self.probabilities.max(axis=1) >= self.thresholds.min_confidence_ratio
        return self.familiar & sure

    @property
    def typed(self) -> NDArray[np.bool_]:
        """(n,): whether the type is known."""
        return np.array([each.type is not None for each in self.cells], bool)

    @property
    def truth(self) -> NDArray[np.int64]:
        """Index of the type of each of the ``typed`` cells."""
        return np.array([TYPES.index(each.type) for each in self.cells if each.type is not None], np.int64)

    @property
    def groups(self) -> NDArray[np.int64]:
        """(n,): the same number for cells of one patient; each cell has its own number if patients are not known."""
        _, of = np.unique([each.group or each.sha256 for each in self.cells], return_inverse=True)
        return of.astype(np.int64)


def judge_held_out(
    classifier: Classifier,
    familiarity: Familiarity,
    canvases: Sequence[NDArray[np.uint8]],
    cells: Sequence[ListedCell],
    what: str,
) -> HeldOut:
    """Judge the windows that the device cuts from these canvases, uint8 RGB (160, 160, 3), one for each cell."""
    outputs = run_int8(classifier, canvases, what, change=cut_as_on_device)
    return HeldOut(
        tuple(cells),
        bundle_probabilities(outputs.logits, classifier.manifest),
        familiarity.distances(outputs.descriptions),
        classifier.thresholds,
    )


def measure_cells_evidence(test: HeldOut, others: Sequence[ListedCell], apart: str, *, seed: int) -> Evidence | None:
    """The record of the test cells of known type; None if there are none. ``others`` are all other cells of the run.

    At most ``MAX_PATIENT_CELLS_COUNT`` cells of each patient are drawn with ``seed``. ``apart`` says what is never both
    in training and test.
    """
    typed = test.typed
    if not typed.any():
        return None
    groups = test.groups[typed]
    counted = _few_of_each(groups, np.random.default_rng(seed))
    truth, groups = test.truth[counted], groups[counted]
    top = test.probabilities[typed][counted].argmax(axis=1)
    return Evidence(
        held_out=(
            f"{len(truth)} test cells of known type, at most {MAX_PATIENT_CELLS_COUNT} of a patient; {apart} apart"
        ),
        classes=tuple(
            ClassEvidence(
                code=each.value,
                training_images_count=sum(cell.type is each for cell in others),
                held_out_images_count=int((truth == index).sum()),
                held_out_right_count=int((top[truth == index] == index).sum()),
                specimens_count=_patients_count([cell for cell in (*others, *test.cells) if cell.type is each]),
            )
            for index, each in enumerate(TYPES)
        ),
        permutation_ratio=permutation_ratio(top, truth, groups, seed=seed),
        permutations_count=PERMUTATIONS,
        design_effect=design_effect(top == truth, groups),
    )


def _few_of_each(groups: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of some cells, in rising order: all of each group, up to the limit."""
    shuffled = rng.permutation(len(groups))
    ordered = shuffled[np.argsort(groups[shuffled], kind="stable")]
    _, starts, counts = np.unique(groups[ordered], return_index=True, return_counts=True)
    rank = np.arange(len(ordered)) - np.repeat(starts, counts)
    return np.sort(ordered[rank < MAX_PATIENT_CELLS_COUNT])


def _patients_count(cells: Sequence[ListedCell]) -> int | None:
    """The number of patients; None unless the patient of each cell is known."""
    groups = {each.group for each in cells}
    return None if not groups or None in groups else len(groups)
