"""Finds what gives the label away without a cell: image size, camera, background colour, time, how it was stored.

Each of these alone is given to a small forest, in the same folds as the head. If it names the classes better than
chance, the pictures of each class were made differently, and a model may have learned that.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from edge_agent.settings import Settings
from trainer.evaluation.intervals import percentile_interval, resample
from trainer.site.baselines import baseline_values, forest_answers
from trainer.site.examples import Examples
from trainer.site.features import SiteFeatures

TIME, FILE_FORMAT = "time of capture", "file format"
MIN_MARGIN_RATIO = 0.05
"""Less than this above chance, a give-away is of no use to a model, however certain it is."""
_FALSE_ALARMS = 0.025
_SECONDS_PER_HOUR = 3600


class GiveAway(Settings):
    """How well the label can be predicted from one thing that is not a cell."""

    name: str
    accuracy_ratio: float = Field(description="Share of the pictures that it names rightly, held out.")
    accuracy_interval_ratio: tuple[float, float] = Field(description="95 %, by bootstrap over groups.")
    chance_ratio: float = Field(description="Share of the commonest class: the accuracy of always naming it.")
    chance_interval_ratio: tuple[float, float] = Field(description="95 %, by bootstrap over groups.")
    gives_away: bool = Field(description="Whether it is certainly above chance, for so many things tried.")
    warning: str | None = Field(description="What that means and what to do; null if it gives nothing away.")


_WORDS: Final[Mapping[str, tuple[str, str, str]]] = MappingProxyType(
    {
        "image size": (
            "The size of the image alone gives",
            "the camera instead of the cells",
            "Take images of each class with the same camera and settings.",
        ),
        "camera": (
            "The camera alone gives",
            "the camera instead of the cells",
            "Take images of every class with every camera, or use one camera only.",
        ),
        "background colour": (
            "The colour of the empty background alone gives",
            "light and stain instead of the cells",
            "Stain slides of all classes together, and take their images in turn, with the same light and settings.",
        ),
        TIME: (
            "The time at which an image was taken alone gives",
            "what changed with time, such as light or stain, instead of the cells",
            "Take images of all classes on the same days, in turn.",
        ),
        FILE_FORMAT: (
            "The way the file was stored alone gives",
            "traces of compression instead of the cells",
            "Save images of all classes with the same program, format and quality.",
        ),
    }
)


def find_give_aways(
    examples: Examples, features: SiteFeatures, folds: NDArray[np.int64], *, seed: int = 0
) -> tuple[GiveAway, ...]:
    """One row for each thing that is known and differs between pictures, held out in ``folds``, int64 (n,)."""
    values = dict(baseline_values(examples, features))
    values |= {name: found for name, found in _more_values(examples) if found is not None}
    return tuple(
        _measure(name, forest_answers(each, examples.labels, folds, seed=seed), examples, len(values), seed)
        for name, each in values.items()
    )


def _more_values(examples: Examples) -> tuple[tuple[str, NDArray[np.float64] | None], ...]:
    return (TIME, _times(examples)), (FILE_FORMAT, _formats(examples))


def _times(examples: Examples) -> NDArray[np.float64] | None:
    """Hours since the first picture, and the hour of the day: (n, 2); None unless every picture has a time."""
    hours = []
    for taken in examples.captured_at:
        if taken is None:
            return None
        aware = taken if taken.tzinfo is not None else taken.replace(tzinfo=UTC)
        hours.append((aware.timestamp() / _SECONDS_PER_HOUR, taken.hour + taken.minute / 60))
    values = np.array(hours, np.float64)
    values[:, 0] -= values[:, 0].min()
    return values if len(np.unique(values, axis=0)) > 1 else None


def _formats(examples: Examples) -> NDArray[np.float64] | None:
    """The way in which each file is stored, among all ways: (n, ways); None if there is only one way."""
    stored = [_how_stored(examples.folder / file.path) for file in examples.files]
    ways = sorted(set(stored))
    if len(ways) < 2:
        return None
    return np.array([[each == way for way in ways] for each in stored], np.float64)


def _how_stored(path: Path) -> str:
    """Format, colour mode and, of a JPEG, how coarsely it was quantized; only the header is read."""
    try:
        with Image.open(path) as image:
            tables = getattr(image, "quantization", None) or {}
            coarseness = [sum(table) for _, table in sorted(tables.items())]
            return f"{image.format} {image.mode} {coarseness}"
    except (OSError, ValueError, SyntaxError):  # SyntaxError: what Pillow raises for some broken headers
        return "unknown"


def _measure(name: str, named: NDArray[np.int64], examples: Examples, tried: int, seed: int) -> GiveAway:
    labels = examples.labels
    right = named == labels
    commonest = labels == examples.class_counts.argmax()

    def statistic(times: NDArray[np.int64]) -> NDArray[np.float64]:
        total = times.sum()
        return np.array([(right * times).sum() / total, (commonest * times).sum() / total])

    drawn = resample(statistic, examples.groups, seed=seed, what="Looking for give-aways")
    accuracy, chance = float(right.mean()), float(commonest.mean())
    # Bonferroni: with several things tried, one may look good by chance.
    certain = bool((drawn[:, 0] <= drawn[:, 1]).mean() <= _FALSE_ALARMS / tried)
    gives_away = certain and accuracy >= chance + MIN_MARGIN_RATIO
    return GiveAway(
        name=name,
        accuracy_ratio=accuracy,
        accuracy_interval_ratio=percentile_interval(drawn[:, 0]) or (0.0, 1.0),
        chance_ratio=chance,
        chance_interval_ratio=percentile_interval(drawn[:, 1]) or (0.0, 1.0),
        gives_away=gives_away,
        warning=_warn(name, accuracy, chance) if gives_away else None,
    )


def _warn(name: str, accuracy: float, chance: float) -> str:
    what, learned, remedy = _WORDS[name]
    return (
        f"{what} the label in {100 * accuracy:.0f} of 100 cases; by chance it would be {100 * chance:.0f}. "
        f"A model may learn {learned}. {remedy}"
    )
