"""Whether training a network's upper layers on a site's pictures is worth more than a head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent.settings import Settings
from trainer.evaluation.intervals import percentile_interval
from trainer.site.certainty import accuracy_interval, draw_groups


class ClassRecall(Settings):
    """Share of a class's pictures that are named rightly."""

    code: str
    recall_ratio: float


class FineTuned(Settings):
    """A network whose upper layers were trained on the same pictures, in the same folds as the head."""

    weights: str = Field(description="File name of the weights that it started from.")
    accuracy_ratio: float
    accuracy_interval_ratio: tuple[float, float] = Field(description="95 %, as the head's.")
    classes: tuple[ClassRecall, ...]
    gain_ratio: float = Field(description="Its accuracy less the head's.")
    gain_interval_ratio: tuple[float, float] = Field(description="95 %, by paired bootstrap over groups.")
    better: bool = Field(description="Whether the whole interval is above 0. A head wins ties.")
    sentence: str


def compare_with_head(
    tuned: NDArray[np.int64],
    head: NDArray[np.int64],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    codes: tuple[str, ...],
    weights: str,
    *,
    seed: int = 0,
) -> FineTuned:
    """Compare held-out answers (n,) of both, as indices of ``codes``, against ``labels`` and by ``groups`` (n,)."""
    right = tuned == labels
    times = draw_groups(groups, seed=seed)
    gains = times @ (right.astype(np.float64) - (head == labels)) / times.sum(axis=1)
    gain = float(right.mean() - (head == labels).mean())
    low, high = percentile_interval(gains) or (-1.0, 1.0)
    return FineTuned(
        weights=weights,
        accuracy_ratio=float(right.mean()),
        accuracy_interval_ratio=accuracy_interval(right, groups, seed=seed),
        classes=tuple(
            ClassRecall(code=code, recall_ratio=float(right[labels == index].mean()))
            for index, code in enumerate(codes)
        ),
        gain_ratio=gain,
        gain_interval_ratio=(low, high),
        better=low > 0,
        sentence=_say(float(right.mean()), gain, low, high),
    )


def _say(accuracy: float, gain: float, low: float, high: float) -> str:
    found = (
        f"A network with its upper layers trained is right in {100 * accuracy:.1f} % of the same held-out pictures: "
        f"{100 * gain:+.1f} points against the head (between {100 * low:+.1f} and {100 * high:+.1f})."
    )
    if low > 0:
        return f"{found} That is certainly better: make a bundle with 'trainer train' instead of using the head."
    return f"{found} That is not certainly better, so use the head: it is small, and fitted in seconds."
