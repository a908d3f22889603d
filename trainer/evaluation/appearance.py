"""The ranges in which a bundle's training images lie: the agent compares an unfamiliar field with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.cameras.frame import Encoded
from edge_agent.contracts import Aspect, Measure
from edge_agent.contracts.manifest import MeasureRange, TrainingAppearance
from edge_agent.vision.appearance import Appearance
from trainer.data.dataset import ImageFile, read_bytes
from trainer.errors import DataError
from trainer.evaluation.bundle_analyzer import BundleAnalyzer
from trainer.progress import track

MIN_SHARE_RATIO = 0.5
"""A measure that a smaller share of the training images has says nothing about all of them."""


def measure_training_appearance(analyzer: BundleAnalyzer, data: Path, files: Sequence[ImageFile]) -> TrainingAppearance:
    """Measure training images as the agent measures frames. Those that the agent would reject are left out.

    Raises ``DataError`` if a file has changed, or if none is fit to be judged.
    """
    images = track(files, "Measuring how training images look")
    measured = [analyzer.measure_appearance(Encoded(read_bytes(data, file))) for file in images]
    return summarise([each for each in measured if each is not None])


def summarise(appearances: Sequence[Appearance]) -> TrainingAppearance:
    """The 1st, 50th and 99th percentile of each measure that most of the images have and that varies.

    A measure that is compared as a ratio is left out if its lowest values are 0, as is the noise of a smoothed image.

    Raises ``DataError`` if there is no image.
    """
    if not appearances:
        raise DataError("no training image is fit to be judged.", remedy="Check the images and the quality limits.")
    measures = {}
    for measure in Measure:
        values = np.array(
            [value for each in appearances if (value := getattr(each, measure.value)) is not None], np.float64
        )
        if values.size < MIN_SHARE_RATIO * len(appearances) or (limits := percentile_range(values)) is None:
            continue
        # A length or ratio of 0 means that there was nothing to measure.
        if measure.aspect is Aspect.COLOUR or limits.low > 0:
            measures[measure] = limits
    return TrainingAppearance(images_count=len(appearances), measures=measures)


def percentile_range(values: Sequence[float] | NDArray[np.float64]) -> MeasureRange | None:
    """The 1st, 50th and 99th percentile of one or more values, to four decimals; None if the outer two are the same."""
    low, median, high = (round(float(each), 4) for each in np.percentile(values, (1, 50, 99)))
    return None if low == high else MeasureRange(low=low, median=median, high=high, images_count=len(values))
