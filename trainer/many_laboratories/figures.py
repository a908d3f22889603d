"""The figures of one bundle in one laboratory, each with its interval, as they are published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent.intervals import wilson_interval
from edge_agent.settings import Settings
from trainer.cells.laboratories.sources import Meaning
from trainer.evaluation.intervals import RESAMPLES, percentile_interval
from trainer.many_laboratories.judged import Judged, JudgedCell
from trainer.many_laboratories.measures import MATURE, mean, measure_cells
from trainer.many_laboratories.scores import Scores

_ROWS = 100
"""Resamples that are measured at a time: more would only take memory."""

COMPLETE_RATIO = 0.995
"""Share of the resamples: if a figure is defined in fewer, the reader is told."""


class Estimate(Settings):
    """One figure."""

    value: float
    interval: tuple[float, float] | None = Field(description="95 %.")
    defined_resamples_ratio: float = Field(
        default=1.0, description="Share of the resamples that had what the figure needs; the interval is of these."
    )


class Population(Settings):
    """Figures of some nucleated cells of a laboratory."""

    cells_count: int
    estimates: dict[str, Estimate] = Field(description="By the name of the figure, those that are defined.")


class LaboratoryFigures(Settings):
    """What a bundle, or the linear baseline, does in one laboratory."""

    laboratory: str
    part: str
    side_um: float
    scale: str
    cells_count: int = Field(description="Nucleated ones.")
    blasts_count: int
    patients_count: int | None = Field(description="Whom the bootstrap drew; null where it drew cells.")
    patients_without_blasts_count: int | None
    mature_types_count: dict[str, int] = Field(description="Cells of the five mature types.")
    not_seen_count: int = Field(description="Nucleated cells that were refused before the network saw them.")
    all_cells: Population = Field(description="By what the network said, whether the agent then refused or not.")
    judged_cells: Population = Field(description="Of the cells that the agent did not refuse.")
    refused: Estimate = Field(description="Share of the nucleated cells.")
    reasons_count: dict[str, int]
    not_cells_count: int
    not_cells_refused: Estimate | None


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Figures, and the resamples from which their intervals were made."""

    figures: LaboratoryFigures
    drawn: Mapping[str, NDArray[np.float64]]
    """Figures of all cells by name, (resamples,) each."""


def measure_laboratory(judged: Judged, *, seed: int = 0, resamples: int = RESAMPLES) -> Measured:
    """The figures of ``judged``, with intervals by bootstrap over patients where all are known, else over cells."""
    cells = [each for each in judged.cells if each.meaning is not Meaning.NOT_A_CELL]
    others = [each for each in judged.cells if each.meaning is Meaning.NOT_A_CELL]
    groups = _groups(cells)
    weights = _draw(groups, len(cells), resamples, np.random.default_rng([seed, *judged.laboratory.encode()]))
    seen = np.array([each.probabilities is not None for each in cells], bool)
    answered = np.array([each.type is not None for each in cells], bool)
    scores = Scores.of(judged)
    everything = _measure(scores, weights[:, seen])
    counts = Counter(each.meaning for each in cells)
    figures = LaboratoryFigures(
        laboratory=judged.laboratory,
        part=judged.part,
        side_um=judged.side_um,
        scale=judged.scale,
        cells_count=len(cells),
        blasts_count=counts[Meaning.BLAST],
        patients_count=None if groups is None else len(np.unique(groups)),
        patients_without_blasts_count=None if groups is None else _without_blasts(cells),
        mature_types_count={each.value: counts[each] for each in MATURE},
        not_seen_count=int((~seen).sum()),
        all_cells=_population(int(seen.sum()), everything),
        judged_cells=_population(
            int(answered.sum()), _measure(scores.among(answered[seen]), weights[:, answered & seen])
        ),
        refused=_refused(~answered, None if groups is None else weights),
        reasons_count=dict(Counter(each.refusal for each in cells if each.refusal is not None).most_common()),
        not_cells_count=len(others),
        not_cells_refused=_refused(np.array([each.type is None for each in others]), None) if others else None,
    )
    return Measured(figures, {name: values[1:] for name, values in everything.items()})


def mean_estimate(measured: Iterable[Measured], name: str) -> Estimate | None:
    """The mean of a figure of all cells over laboratories, each resampled by itself; None unless all define it."""
    chosen = list(measured)
    values = [each.figures.all_cells.estimates.get(name) for each in chosen]
    if not values or None in values:
        return None
    drawn = np.mean([each.drawn[name] for each in chosen], axis=0)
    return Estimate(
        value=float(np.mean([each.value for each in values if each is not None])),
        interval=percentile_interval(drawn),
        defined_resamples_ratio=float(np.isfinite(drawn).mean()),
    )


def _groups(cells: Sequence[JudgedCell]) -> NDArray[np.int64] | None:
    """The patient of each cell, from 0; None unless all are known."""
    if any(each.group is None for each in cells):
        return None
    return np.asarray(np.unique([str(each.group) for each in cells], return_inverse=True)[1], np.int64)


def _without_blasts(cells: Sequence[JudgedCell]) -> int:
    having = {each.group for each in cells if each.meaning is Meaning.BLAST}
    return len({each.group for each in cells} - having)


def _draw(
    groups: NDArray[np.int64] | None, count: int, resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """How often each cell is in each resample, (1 + resamples, n); the first has every cell once."""
    units = np.arange(count) if groups is None else groups
    drawn = int(units.max()) + 1 if count else 0
    times = rng.multinomial(drawn, np.full(drawn, 1 / drawn), size=resamples)
    return np.concatenate([np.ones((1, count)), times[:, units]])


def _measure(scores: Scores, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Each figure that the cells define, (1 + resamples,): the first is of every cell once."""
    parts = [measure_cells(scores, weights[at : at + _ROWS]) for at in range(0, len(weights), _ROWS)]
    return {
        name: np.concatenate([part.get(name, np.full(_ROWS, np.nan)) for part in parts])[: len(weights)]
        for name, values in parts[0].items()
        if np.isfinite(values[0])
    }


def _population(count: int, measured: Mapping[str, NDArray[np.float64]]) -> Population:
    return Population(
        cells_count=count,
        estimates={
            name: Estimate(
                value=float(values[0]),
                interval=percentile_interval(values[1:]),
                defined_resamples_ratio=float(np.isfinite(values[1:]).mean()),
            )
            for name, values in measured.items()
        },
    )


def _refused(refused: NDArray[np.bool_], weights: NDArray[np.float64] | None) -> Estimate:
    """A share, with Wilson's interval if cells count independently: a bootstrap of none or all has no width."""
    ratio = float(refused.mean())
    if weights is None:
        return Estimate(value=ratio, interval=wilson_interval(int(refused.sum()), len(refused)))
    return Estimate(value=ratio, interval=percentile_interval(mean(refused, weights)[1:]))
