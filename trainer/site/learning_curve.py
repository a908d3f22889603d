"""Measures how accuracy grows with the number of labels, and what more labels would achieve.

Learning curves of classifiers fall roughly as an inverse power law (Cortes, Jackel, Solla, Vapnik and Denker, 1993; for
planning how many images to label: Figueroa, Zeng-Treitler, Kandula and Ngo, 2012). A handful of labels cannot determine
its three parameters, so the exponent is drawn from the range that such curves have instead of being fitted: this
uncertainty then widens the interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent.settings import Settings

MORE_COUNT = 20
"""The number of additional labels of a class that the advice is about."""
FRACTIONS = (0.4, 0.65)
"""Shares of the examples of a class that are kept to look back to fewer labels."""
MIN_CLASS_IMAGES = 10
MIN_GROUPS = 6
MAX_WIDTH_RATIO = 0.12
"""A wider interval is no advice."""
LITTLE_RATIO = 0.005
"""A smaller gain is not worth the work."""
_EXPONENTS = (0.3, 1.2)
_RESAMPLES = 1000
_TAILS = (0.025, 0.5, 0.975)
_MANY, _VERY_MANY = 240, 800

Refit = Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.float64]]
"""Fits to the examples at the first indices, and gives logits or probabilities (n, c) of those at the second."""
Folds = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]
"""For each fold, the indices of the examples to fit to and of those held out; each example is held out once."""


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

    ``groups`` is int64 (n,). This fits 10 (classes + 1) times per fold, less often if there are many examples.
    """
    look = _LookBack(labels, groups, folds, refit, seed)
    full = look.right_with(None, 1.0)
    by_class = {
        which: np.stack([*(look.right_with(which, fraction) for fraction in FRACTIONS), full])
        for which in (None, *range(len(codes)))
    }
    points = tuple(
        CurvePoint(
            labels_count=round(len(labels) * look.trained_ratio * fraction),
            accuracy_ratio=float(right.mean()),
            accuracy_interval_ratio=look.interval(right),
        )
        for fraction, right in zip((*FRACTIONS, 1.0), by_class[None], strict=True)
    )
    advice = [
        _advise(None if which is None else codes[which], more_count, look.gains(which, right, more_count), right[-1])
        for which, right in by_class.items()
    ]
    # Classes without a known gain come last.
    advice.sort(key=lambda each: -np.inf if each.gain_ratio is None else each.gain_ratio, reverse=True)
    return LearningCurve(points=points, advice=tuple(advice))


class _LookBack:
    """Held-out answers as they would have been with fewer labels, and their extrapolation."""

    def __init__(
        self, labels: NDArray[np.int64], groups: NDArray[np.int64], folds: Folds, refit: Refit, seed: int
    ) -> None:
        self._labels = labels
        self._folds = folds
        self._refit = refit
        self._seed = seed
        self._rng = np.random.default_rng(seed)
        # One draw of a few labels says little; one of many says enough.
        self._repeats = 5 if len(labels) <= _MANY else 2 if len(labels) <= _VERY_MANY else 1
        _, group_of = np.unique(groups, return_inverse=True)
        self._groups_count = int(group_of.max()) + 1
        drawn = np.random.default_rng(seed).multinomial(
            self._groups_count, np.full(self._groups_count, 1 / self._groups_count), _RESAMPLES
        )
        self._times = np.asarray(drawn[:, group_of], np.float64)
        """How often each example is in each bootstrap resample of the groups: (resamples, n)."""

    @property
    def trained_ratio(self) -> float:
        """Share of the examples to which a fold is fitted."""
        return sum(len(train) for train, _ in self._folds) / (len(self._folds) * len(self._labels))

    def interval(self, right: NDArray[np.float64]) -> tuple[float, float]:
        """The interval of the mean of ``right`` (n,)."""
        low, high = np.quantile(self._means(right), (_TAILS[0], _TAILS[-1]))
        return float(low), float(high)

    def right_with(self, which: int | None, fraction: float) -> NDArray[np.float64]:
        """How often each example (n,) is right with ``fraction`` of the labels of class ``which``; of all if None."""
        right = np.zeros(len(self._labels))
        repeats = 1 if fraction == 1 else self._repeats
        for _ in range(repeats):
            for train, test in self._folds:
                kept = train if fraction == 1 else self._thin(train, which, fraction)
                right[test] += self._refit(kept, test).argmax(axis=1) == self._labels[test]
        return right / repeats

    def gains(self, which: int | None, right: NDArray[np.float64], more_count: int) -> NDArray[np.float64] | None:
        """Gain of accuracy (resamples,) from more labels of a class; None if there are too few to look back from.

        ``right`` (k, n) has the results of ``right_with`` for each of ``FRACTIONS`` and for all labels.
        """
        counts = np.bincount(self._labels)
        fewest, now = (counts.min(), counts.mean()) if which is None else (counts[which], float(counts[which]))
        if fewest < MIN_CLASS_IMAGES or self._groups_count < MIN_GROUPS:
            return None
        errors = 1 - self._means(right)
        sizes = np.array([*FRACTIONS, 1.0]) * now * self.trained_ratio
        gains = _extrapolate(errors, sizes, now, now + more_count, len(self._labels), self._seed)
        # The gain cannot exceed the step to all answers being right.
        return np.asarray(np.minimum(gains, 1 - right[-1].mean()))

    def _means(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((self._times @ right.T).T / self._times.sum(axis=1)).T

    def _thin(self, train: NDArray[np.intp], which: int | None, fraction: float) -> NDArray[np.intp]:
        of = self._labels[train]
        kept = []
        for each in np.unique(of):
            members = train[of == each]
            if which is None or each == which:
                members = self._rng.choice(members, max(1, round(fraction * len(members))), replace=False)
            kept.append(members)
        return np.sort(np.concatenate(kept))


def _advise(code: str | None, more_count: int, gains: NDArray[np.float64] | None, right: NDArray[np.float64]) -> Advice:
    low, middle, high = (0.0, 0.0, 1.0) if gains is None else map(float, np.quantile(gains, _TAILS))
    is_known = high - low <= MAX_WIDTH_RATIO
    return Advice(
        code=code,
        more_count=more_count,
        gain_ratio=middle if is_known else None,
        gain_interval_ratio=(low, high) if is_known else None,
        accuracy_ratio=min(1.0, float(right.mean()) + middle) if is_known else None,
        sentence=_sentence(code, more_count, low, middle, high) if is_known else _too_few(code, more_count),
    )


def _extrapolate(
    errors: NDArray[np.float64], sizes: NDArray[np.float64], now: float, then: float, count: int, seed: int
) -> NDArray[np.float64]:
    """Gain of accuracy (resamples,) from ``now`` labels to ``then``, given errors (resamples, k) at ``sizes`` (k,).

    ``count`` is the number of examples that the errors are shares of.
    """
    rng = np.random.default_rng(seed)
    exponents = rng.uniform(*_EXPONENTS, len(errors))
    basis = sizes[None, :] ** -exponents[:, None]
    centred = basis - basis.mean(axis=1, keepdims=True)
    # Least squares of error = rest + slope · labels^-exponent, in each resample.
    slope = (centred * errors).sum(axis=1) / np.square(centred).sum(axis=1)
    gain = slope * (now**-exponents - then**-exponents)
    # A curve falls no faster than one that ends without any errors. One more error than was seen allows for luck.
    steepest = (errors[:, -1] + 1 / count) * (1 - (now / then) ** exponents)
    gain = np.minimum(gain, steepest)
    # It is also luck which labels come next, and resampling has hardly any spread where few answers change: add noise
    # as if one more answer went either way.
    return np.asarray(gain + rng.normal(0, 1 / count, len(errors)))


def _too_few(code: str | None, more_count: int) -> str:
    what = "each class" if code is None else f"'{code}'"
    return f"There are too few labels to tell what {more_count} more of {what} would bring."


def _sentence(code: str | None, more_count: int, low: float, middle: float, high: float) -> str:
    what = "each class" if code is None else f"'{code}'"
    between = f"between {100 * low:+.1f} and {100 * high:+.1f}"
    if middle < LITTLE_RATIO:
        return f"{more_count} more of {what} would hardly change the accuracy ({between} points)."
    how = "would bring" if low > 0 else "may bring"
    doubt = "" if low > 0 else ", or nothing"
    return f"{more_count} more of {what} {how} about {100 * middle:+.1f} points of accuracy{doubt} ({between})."
