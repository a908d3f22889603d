"""Made-up pictures of a site, with the properties that its report needs."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.data.dataset import ImageFile
from trainer.data.description import ClassFolder, Description
from trainer.site.cross_validation import CrossValidation
from trainer.site.examples import Examples
from trainer.site.features import THUMBNAIL_PX, SiteFeatures

MORNING = datetime(2026, 5, 4, 8, tzinfo=UTC)


def make_description(codes: tuple[str, ...] = ("benign", "early")) -> Description:
    classes = tuple(
        ClassFolder(
            folder=code, code=code, display_name=code.capitalize(), meaning=f"{code} cells", malignant=code != codes[0]
        )
        for code in codes
    )
    return Description(
        name="north clinic",
        source="fields kept by one device",
        licence="not published",
        limits="One device at one site.",
        synthetic=True,
        classes=classes,
    )


def make_examples(
    labels: NDArray[np.int64],
    *,
    codes: tuple[str, ...] = ("benign", "early"),
    folder: Path = Path("nowhere"),
    groups: NDArray[np.int64] | None = None,
    captured_at: tuple[datetime | None, ...] | None = None,
    cameras: tuple[str | None, ...] | None = None,
    sizes_px: NDArray[np.int64] | None = None,
    names: tuple[str, ...] | None = None,
) -> Examples:
    count = len(labels)
    paths = names or tuple(f"{codes[label]}/{index:03}.jpg" for index, label in enumerate(labels))
    return Examples(
        folder=folder,
        description=make_description(codes),
        files=tuple(
            ImageFile(path, codes[label], hashlib.sha256(path.encode()).hexdigest(), None)
            for path, label in zip(paths, labels, strict=True)
        ),
        labels=labels,
        groups=np.arange(count) if groups is None else groups,
        grouping="near-duplicate-and-time" if groups is None else "specimen",
        captured_at=captured_at or (None,) * count,
        cameras=cameras or (None,) * count,
        sizes_px=np.tile((640, 480), (count, 1)) if sizes_px is None else sizes_px,
        enlarged=np.zeros(count, np.bool_),
        unreadable=(),
    )


def make_features(
    count: int, *, backgrounds: NDArray[np.float32] | None = None, reasons: tuple[str | None, ...] | None = None
) -> SiteFeatures:
    rng = np.random.default_rng(1)
    return SiteFeatures(
        kind="field-description@1",
        features=rng.normal(size=(count, 4)).astype(np.float32),
        varied=rng.normal(size=(count, 2, 4)).astype(np.float32),
        reasons=reasons or (None,) * count,
        appearances=(None,) * count,
        backgrounds=rng.normal(size=(count, 6)).astype(np.float32) if backgrounds is None else backgrounds,
        thumbnails=np.full((count, THUMBNAIL_PX, THUMBNAIL_PX, 3), 200, np.uint8),
    )


def make_validation(
    probabilities: NDArray[np.float64],
    *,
    unfamiliarity: NDArray[np.float64] | None = None,
    min_confidence_ratio: float = 0.5,
) -> CrossValidation:
    count = len(probabilities)
    return CrossValidation(
        logits=np.log(probabilities),
        temperature=1.0,
        probabilities=probabilities,
        folds=np.arange(count) % 5,
        regularisations=(1.0,) * 5,
        unfamiliarity=np.ones(count) if unfamiliarity is None else unfamiliarity,
        max_unfamiliarity_score=2.0,
        min_confidence_ratio=min_confidence_ratio,
    )
