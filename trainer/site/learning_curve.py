"""How accuracy grows with the number of labels, and what more of them would bring.

Learning curves of classifiers fall roughly as an inverse power law (Cortes, Jackel, Solla, Vapnik and Denker, 1993;
for planning how many images to label: Figueroa, Zeng-Treitler, Kandula and Ngo, 2012). A handful of labels cannot tell
its three parameters apart, so the exponent is drawn from the range that such curves have, instead of being fitted: what
is not known then widens the interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent.settings import Settings

MORE_COUNT = 20
"""How many more labels of a class the advice is about."""
FRACTIONS = (0.4, 0.65)
"""Of the examples of a class that are left when one looks back to fewer labels."""
MIN_CLASS_IMAGES = 10
MIN_GROUPS = 6
MAX_WIDTH_RATIO = 0.12
"""An interval that is wider than this is no advice."""
_EXPONENTS = (0.3, 1.2)
_RESAMPLES = 1000
_TAILS = (0.025, 0.5, 0.975)
_MANY, _VERY_MANY = 240, 800

Refit = Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.float64]]
"""Fits to the examples of the first indices, and gives the probabilities (n, c) of those of the second."""
Folds = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]
"""Indices of the examples to fit to and of those held out, of each fold; each example is held out once."""


class CurvePoint(Settings):
    """Accuracy on the held-out examples with so many labels to fit to."""

    labels_count: int = Field(description="Labels fitted to, of all classes, in the same shares.")
    accuracy_ratio: float
    accuracy_interval_ratio: tuple[float, float] = Field(description="95 %, by bootstrap over groups.")


class Advice(Settings):
    """What more labels would probably bring."""

    code: str | None = Field(description="Class that gets more labels; null for each class.")
    more_count: int = Field(description="More labels of this class, or of each.")
    gain_ratio: float | None = Field(description="Expected change of the accuracy; null if too few to tell.")
    gain_interval_ratio: tuple[float, float] | None = Field(description="95 %.")
    accuracy_ratio: float | None = Field(description="Expected accuracy with them; never above 1.")
    sentence: str


class LearningCurve(Settings):
    """How accuracy grew with the labels that there are, and what more would bring."""

    points: tuple[CurvePoint, ...]
    advice: tuple[Advice, ...] = Field(description="One for each class and one for all, the largest gain first.")


def measure_learning_curve(
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    codes: Sequence[str],
    folds: Folds,
    refit: Refit,
    *,
    more_count: int = MORE_COUNT,
    seed: int = 0,
) -> LearningCurve:
    """Refit to parts of the labels int64 (n,), which are indices of ``codes``, within the same ``folds``.

    ``groups`` is int64 (n,). It fits 10 (classes + 1) times per fold, less often where there are many examples.
    """
    looks = _LooksBack(labels, folds, refit, np.random.default_rng(seed))
    full = looks.right_with(None, 1.0)
    draws = _draw_groups(groups, seed)
    classes: list[int | None] = [None, *range(len(codes))]
    advice, curves = [], {}
    for which in classes:
        right = np.stack([*(looks.right_with(which, fraction) for fraction in FRACTIONS), full])
        curves[which] = right
        advice.append(_advise(which, right, labels, groups, codes, folds, draws, more_count, seed))
    held = len(labels) * _trained_ratio(labels, folds)
    points = tuple(
        CurvePoint(
            labels_count=round(held * fraction),
            accuracy_ratio=float(right.mean()),
            accuracy_interval_ratio=_interval(draws @ right / draws.sum(axis=1)),
        )
        for fraction, right in zip((*FRACTIONS, 1.0), curves[None], strict=True)
    )
    known = sorted((each for each in advice if each.gain_ratio is not None), key=lambda each: -(each.gain_ratio or 0))
    return LearningCurve(points=points, advice=(*known, *(each for each in advice if each.gain_ratio is None)))


class _LooksBack:
    """Held-out answers as they would have been with fewer labels."""

    def __init__(self, labels: NDArray[np.int64], folds: Folds, refit: Refit, rng: np.random.Generator) -> None:
        self._labels = labels
        self._folds = folds
        self._refit = refit
        self._rng = rng
        # One draw of a few labels says little; of many it says enough.
        self._repeats = 5 if len(labels) <= _MANY else 2 if len(labels) <= _VERY_MANY else 1

    def right_with(self, which: int | None, fraction: float) -> NDArray[np.float64]:
        """How often each example (n,) is right with ``fraction`` of the labels of class ``which``, None for all."""
        right = np.zeros(len(self._labels))
        repeats = 1 if fraction == 1 else self._repeats
        for _ in range(repeats):
            for train, test in self._folds:
                kept = train if fraction == 1 else self._thin(train, which, fraction)
                right[test] += self._refit(kept, test).argmax(axis=1) == self._labels[test]
        return right / repeats

    def _thin(self, train: NDArray[np.intp], which: int | None, fraction: float) -> NDArray[np.intp]:
        of = self._labels[train]
        kept = []
        for each in np.unique(of):
            members = train[of == each]
            if which is None or each == which:
                members = self._rng.choice(members, max(1, round(fraction * len(members))), replace=False)
            kept.append(members)
        return np.sort(np.concatenate(kept))


def _advise(
    which: int | None,
    right: NDArray[np.float64],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    codes: Sequence[str],
    folds: Folds,
    draws: NDArray[np.float64],
    more_count: int,
    seed: int,
) -> Advice:
    code = None if which is None else codes[which]
    counts = np.bincount(labels, minlength=len(codes))
    now = float(counts.mean()) if which is None else float(counts[which])
    fewest = int(counts.min()) if which is None else int(counts[which])
    if fewest < MIN_CLASS_IMAGES or len(np.unique(groups)) < MIN_GROUPS:
        return _too_few(code, more_count)
    trained = now * _trained_ratio(labels, folds)
    errors = 1 - draws @ right.T / draws.sum(axis=1)[:, None]
    gains = _gains(errors, np.array([*FRACTIONS, 1.0]) * trained, now, now + more_count, len(labels), seed)
    low, middle, high = (float(each) for each in np.quantile(gains, _TAILS))
    if high - low > MAX_WIDTH_RATIO:
        return _too_few(code, more_count)
    accuracy = min(1.0, float(right[-1].mean()) + middle)
    return Advice(
        code=code,
        more_count=more_count,
        gain_ratio=middle,
        gain_interval_ratio=(low, high),
        accuracy_ratio=accuracy,
        sentence=_sentence(code, more_count, low, middle, high),
    )


def _gains(
    errors: NDArray[np.float64], sizes: NDArray[np.float64], now: float, then: float, count: int, seed: int
) -> NDArray[np.float64]:
    """Gain of accuracy (resamples,) from ``now`` labels to ``then``, by errors (resamples, k) at ``sizes`` (k,).

    ``count`` is the number of examples that the errors are shares of.
    """
    rng = np.random.default_rng(seed)
    exponents = rng.uniform(*_EXPONENTS, len(errors))
    basis = sizes[None, :] ** -exponents[:, None]
    centred = basis - basis.mean(axis=1, keepdims=True)
    # Least squares of error = rest + slope · labels^-exponent, in each resample.
    slope = (centred * errors).sum(axis=1) / np.square(centred).sum(axis=1)
    gain = slope * (now**-exponents - then**-exponents)
    # Which labels the next ones are is luck, too, and where few answers change, resampling them has hardly any spread:
    # as if one more answer went either way.
    luck = rng.normal(0, 1 / count, len(errors))
    return np.minimum(gain + luck, errors[:, -1])


def _draw_groups(groups: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """How often each example is in each bootstrap resample of the groups: (resamples, n)."""
    _, group_of = np.unique(groups, return_inverse=True)
    count = int(group_of.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), _RESAMPLES)
    return np.asarray(drawn[:, group_of], np.float64)


def _trained_ratio(labels: NDArray[np.int64], folds: Folds) -> float:
    """Share of the examples that a fold's fit sees."""
    return sum(len(train) for train, _ in folds) / (len(folds) * len(labels))


def _interval(drawn: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(drawn, (_TAILS[0], _TAILS[-1]))
    return float(low), float(high)


def _too_few(code: str | None, more_count: int) -> Advice:
    what = "each class" if code is None else f"'{code}'"
    return Advice(
        code=code,
        more_count=more_count,
        gain_ratio=None,
        gain_interval_ratio=None,
        accuracy_ratio=None,
        sentence=f"There are too few labels to tell what {more_count} more of {what} would bring.",
    )


def _sentence(code: str | None, more_count: int, low: float, middle: float, high: float) -> str:
    what = "each class" if code is None else f"'{code}'"
    between = f"between {100 * low:+.1f} and {100 * high:+.1f}"
    if middle < 0.005:
        return f"{more_count} more of {what} would bring little: {between} points."
    return f"{more_count} more of {what} would bring about {100 * middle:+.1f} points ({between})."
