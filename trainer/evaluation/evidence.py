"""The record of a bundle on held-out images, from which the agent judges whether it may be used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_agent.contracts.manifest import ClassEvidence, Evidence
from trainer.data.split import Assignment, Part

PERMUTATIONS = 9_999


def measure_evidence(
    top: NDArray[np.int64], truth: NDArray[np.int64], assignments: Sequence[Assignment], codes: Sequence[str], seed: int
) -> Evidence:
    """The record of answers on the test part of a split.

    ``top`` is the index of the likeliest class of each test image, whether or not the agent would have refused it, and
    ``truth`` the index of its true class, both int64 (n,) in the order of ``assignments``.
    """
    return Evidence(
        held_out=f"{len(truth)} test images of the split",
        classes=tuple(_of_class(index, code, top, truth, assignments) for index, code in enumerate(codes)),
        permutation_ratio=permutation_ratio(top, truth, seed=seed),
        permutations_count=PERMUTATIONS,
    )


def permutation_ratio(
    top: NDArray[np.int64], truth: NDArray[np.int64], *, seed: int = 0, permutations: int = PERMUTATIONS
) -> float:
    """Share of labellings, the true one included, that agree with the answers ``top`` at least as often as ``truth``.

    Both are int64 (n,). B. Phipson and G. K. Smyth, "Permutation p-values should never be zero", 2010.
    """
    rng = np.random.default_rng(seed)
    observed = int((top == truth).sum())
    reached = sum(int((top == rng.permutation(truth)).sum()) >= observed for _ in range(permutations))
    return (reached + 1) / (permutations + 1)


def _of_class(
    index: int, code: str, top: NDArray[np.int64], truth: NDArray[np.int64], assignments: Sequence[Assignment]
) -> ClassEvidence:
    files = [each.file for each in assignments if each.file.label == code]
    groups = [file.group for file in files]
    own = truth == index
    return ClassEvidence(
        code=code,
        training_images_count=sum(each.part is not Part.TEST for each in assignments if each.file.label == code),
        held_out_images_count=int(own.sum()),
        held_out_right_count=int((top[own] == index).sum()),
        specimens_count=None if not groups or None in groups else len(set(groups)),
    )
