"""Measures how well a linear classifier recognises a cell's laboratory from the features of the cell.

Features that give the laboratory away let a network learn the laboratory in place of the cell. Within one type, only
the laboratory, and who its patients are, can distinguish cells. Over all types, the type alone already says something,
as laboratories have different mixes of types: that is the control.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edge_agent.settings import Settings
from trainer.cells.laboratories.listing import ListedCell
from trainer.cells.laboratories.sources import Meaning
from trainer.progress import track

FOLDS = 5
MIN_CELLS = 40
"""Cells of a type that a laboratory must have to count."""
MAX_CELLS = 300
"""Most cells that are taken of a type and a laboratory: more would only take time."""

_INVERSE_REGULARISATION = 1e-2
_ITERATIONS, _TOLERANCE = 1000, 1e-3

Floats = NDArray[np.floating]


class ProbeRow(Settings):
    """Cells of one type, or of all."""

    type: str | None = Field(description="Null: cells of all types of the rows above.")
    laboratories: tuple[str, ...]
    cells_count: int
    chance_ratio: float = Field(description="Balanced accuracy of guessing: one of so many laboratories.")
    type_alone_ratio: float = Field(description="Balanced accuracy by the type of the cell and nothing else.")
    raw_ratio: float = Field(description="Balanced accuracy by the features of the frozen network on raw windows.")
    bundle_ratio: float = Field(description="Balanced accuracy by the features of the bundle.")


def probe_laboratories(cells: Sequence[ListedCell], raw: Floats, bundle: Floats, *, seed: int = 0) -> list[ProbeRow]:
    """A row for each type that two laboratories have, and one over all of these types; none if there is no such type.

    ``raw`` and ``bundle`` (n, ...) are the features of ``cells``. Folds keep a patient's cells, and equal pictures,
    together.
    """
    chosen = list(_types(cells, seed))
    rows = [(type_, own) for type_, own in chosen]
    if len(rows) > 1:
        rows.append((None, np.concatenate([own for _, own in chosen])))
    return [_row(type_, own, cells, raw, bundle, seed) for type_, own in track(rows, "Probing for the laboratory")]


def _types(cells: Sequence[ListedCell], seed: int) -> Iterator[tuple[Meaning | None, NDArray[np.int64]]]:
    rng = np.random.default_rng(seed)
    for type_ in Meaning:
        own = [at for at, each in enumerate(cells) if each.type is type_]
        by_laboratory = [
            [at for at in own if cells[at].laboratory == code] for code in sorted({cells[at].laboratory for at in own})
        ]
        enough = [each for each in by_laboratory if len(each) >= MIN_CELLS]
        if len(enough) > 1:
            yield (
                type_,
                np.concatenate([rng.choice(each, min(MAX_CELLS, len(each)), replace=False) for each in enough]),
            )


def _row(
    type_: Meaning | None, own: NDArray[np.int64], cells: Sequence[ListedCell], raw: Floats, bundle: Floats, seed: int
) -> ProbeRow:
    laboratories = np.array([cells[at].laboratory for at in own], str)
    units = np.array([cells[at].group or cells[at].sha256 for at in own], str)
    meanings = np.array([cells[at].meaning.value for at in own], str)
    type_alone = (meanings[:, None] == np.unique(meanings)).astype(np.float64)
    present = tuple(np.unique(laboratories).tolist())
    return ProbeRow(
        type=None if type_ is None else type_.value,
        laboratories=present,
        cells_count=len(own),
        chance_ratio=1 / len(present),
        type_alone_ratio=_balanced_accuracy(type_alone, laboratories, units, seed),
        raw_ratio=_balanced_accuracy(raw[own], laboratories, units, seed),
        bundle_ratio=_balanced_accuracy(bundle[own], laboratories, units, seed),
    )


def _balanced_accuracy(features: Floats, laboratories: NDArray[np.str_], units: NDArray[np.str_], seed: int) -> float:
    classifier = make_pipeline(
        StandardScaler(),
        LogisticRegression(
            C=_INVERSE_REGULARISATION,
            class_weight="balanced",
            max_iter=_ITERATIONS,
            tol=_TOLERANCE,
            random_state=seed,
        ),
    )
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    # Matrix kernels may raise the flag because of what they read beyond a row. scikit-learn has checked that all is
    # finite.
    with np.errstate(invalid="ignore"):
        named = cross_val_predict(classifier, features.astype(np.float64), laboratories, groups=units, cv=folds)
    return float(balanced_accuracy_score(laboratories, named))
