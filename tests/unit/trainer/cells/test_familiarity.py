"""A Gaussian is bent until foreign things lie outside, even those that lie within the cells' own spread."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.trainer.cells.drawn_cells import listed
from trainer.cells.foreign import familiarity as fitting
from trainer.cells.foreign.familiarity import CellsFamiliarity, bend, fit_cells_familiarity
from trainer.cells.laboratories.sources import Meaning
from trainer.cells.windows.canvases import Canvases
from trainer.errors import DataError
from trainer.training.familiarity import fit_familiarity

SIZE = 6
Loss = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]


def cells(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Two types, far apart in the first value, so that a Gaussian is wide there."""
    found = rng.normal(size=(count, SIZE)) * np.array([1, 1, 0.3, 2, 1, 1])
    found[:, 0] += np.where(np.arange(count) % 2, 8, -8)
    return np.asarray(found + 3, np.float32)


def foreign(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Like some cells in all but the second value, in which they differ less than the two types do."""
    found = cells(count, rng)
    found[:, 1] += 5
    return found


@pytest.fixture(scope="module")
def fitted() -> CellsFamiliarity:
    rng = np.random.default_rng(0)
    known = cells(800, rng)
    return bend(fit_familiarity(known), known, foreign(200, rng), ["platelet"] * 200)


def test_foreign_things_are_refused_that_a_gaussian_takes_for_cells(fitted: CellsFamiliarity) -> None:
    rng = np.random.default_rng(1)
    own, other = cells(500, rng), foreign(500, rng)
    gaussian = fit_familiarity(cells(800, rng))
    limit = np.quantile(gaussian.distances(own), 0.95)
    assert (gaussian.distances(other) > limit).mean() < 0.98
    assert (fitted.familiarity.distances(own) > fitted.max_unfamiliarity_score).mean() < 0.05
    assert (fitted.familiarity.distances(other) > fitted.max_unfamiliarity_score).mean() > 0.98


@pytest.mark.parametrize("direction", range(SIZE))
def test_what_is_far_away_is_refused_wherever_it_lies(fitted: CellsFamiliarity, direction: int) -> None:
    """Nobody showed it anything there: it is bent as little as possible."""
    far = np.full((2, SIZE), 3, np.float32)
    far[:, direction] += (-120, 120)
    assert (fitted.familiarity.distances(far) > fitted.max_unfamiliarity_score).all()


def test_a_rare_kind_counts_as_much_as_a_common_one() -> None:
    rng = np.random.default_rng(2)
    known, common, rare = cells(400, rng), foreign(400, rng), cells(4, rng)
    rare[:, 4] += 4.5
    kinds = [*["common"] * 400, *["rare"] * 4]
    found = bend(fit_familiarity(known), known, np.concatenate([common, rare]), kinds)
    together = bend(fit_familiarity(known), known, np.concatenate([common, rare]), ["one"] * 404)
    margins = [each.familiarity.distances(rare) - each.max_unfamiliarity_score for each in (found, together)]
    assert margins[0].mean() > margins[1].mean()
    assert (margins[0] > 0).mean() >= 0.75


def test_the_gradient_is_that_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong one would still end somewhere, and not at the best."""
    rng = np.random.default_rng(3)
    seen = []

    def minimise(loss: Loss, start: NDArray[np.float64], **_: object) -> SimpleNamespace:
        at = start + rng.normal(0, 0.05, len(start))
        gradient = loss(at)[1]
        for index in (0, 7, SIZE * SIZE + 1, len(start) - 1):
            step = np.zeros(len(start))
            step[index] = 1e-5
            seen.append((gradient[index], (loss(at + step)[0] - loss(at - step)[0]) / 2e-5))
        return SimpleNamespace(x=start)

    monkeypatch.setattr(fitting, "minimize", minimise)
    known = cells(100, rng)
    bend(fit_familiarity(known), known, foreign(50, rng), ["a"] * 50)
    for claimed, measured in seen:
        assert claimed == pytest.approx(measured, rel=1e-5, abs=1e-8)


def test_without_a_cell_there_is_nothing_to_fit() -> None:
    canvases = Canvases((listed("north", Meaning.NOT_A_CELL),), (np.zeros((1, 160, 160, 3), np.uint8),), (), ("",))
    with pytest.raises(DataError, match="no nucleated cell"):
        fit_cells_familiarity(None, canvases, [0])  # type: ignore[arg-type] # nothing is asked of it
