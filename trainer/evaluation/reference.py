"""A bundle's scores for images that had no part in training: the agent compares its last fields with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_agent.cameras.frame import Encoded
from edge_agent.contracts.manifest import Reference
from trainer.data.dataset import ImageFile, read_bytes
from trainer.errors import DataError
from trainer.evaluation.appearance import percentile_range
from trainer.evaluation.bundle_analyzer import BundleAnalyzer
from trainer.progress import track


def measure_reference(analyzer: BundleAnalyzer, data: Path, files: Sequence[ImageFile]) -> Reference:
    """Judge images as the agent judges frames. Those that the agent would reject are left out.

    Raises ``DataError`` if a file has changed, or if no two different images are fit to be judged.
    """
    images = track(files, "Judging images that had no part in training")
    readings = (analyzer.read(Encoded(read_bytes(data, file))) for file in images)
    decisions = [each.decision for each in readings if each.decision is not None]
    found = summarise(
        [each.unfamiliarity_score for each in decisions],
        [each.confidence_ratio for each in decisions if each.confidence_ratio is not None],
    )
    if found is None:
        raise DataError(
            "fewer than two different images that had no part in training are fit to be judged.",
            remedy="Check the split, the images and the quality limits.",
        )
    return found


def summarise(scores: Sequence[float], confidences: Sequence[float]) -> Reference | None:
    """The 1st, 50th and 99th percentile of unfamiliarity, and of the confidence of familiar images.

    None if no two images differ.
    """
    unfamiliarity = percentile_range(scores) if scores else None
    if unfamiliarity is None:
        return None
    return Reference(
        images_count=len(scores),
        unfamiliarity_score=unfamiliarity,
        confidence_ratio=percentile_range(confidences) if confidences else None,
    )
