"""How reliably a field is found again, on real smears on which the threshold was not chosen.

Run it with ``--log-cli-level=INFO`` to see the figures of ``docs/slides.md``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.specimens.repeats import MIN_CORRELATION, Picture, correlation, recognisable

log = logging.getLogger(__name__)

Array = NDArray[np.uint8]

MAX_SHIFT_RATIO = 0.25
FIELD_PX = 224
VISITS = 2
PAIRS_MAX = 3000


@dataclass(frozen=True)
class Images:
    """Images of one laboratory."""

    pattern: str
    step: int = 2
    """Take one of this many images, by sorted names. The first image of each step was used to choose the threshold."""
    is_field: bool = True
    """Whether each image shows a whole field. A close-up of one cell resembles every other close-up."""


SETS = {
    "camera frames, malaria": Images("frames-1280x960/*.JPG"),
    "camera frames, leukemia": Images("camera-originals/*.jpg"),
    # Some images with neighbouring numbers show the same field.
    "fields, leukemia": Images("all4/images/*/*.jpg", step=7),
    "fields, healthy blood": Images("boxes/*.jpg"),
    "fields of 256 px": Images("other-smears/fields256/*.png"),
    "close-ups, CellaVision": Images("other-smears/cellavision100/*.png", is_field=False),
    "close-ups, Jiangxi Tecom": Images("other-smears/tecom300/*.png", is_field=False),
}


def held_out(folder: Path, images: Images) -> list[Array]:
    files = sorted(folder.glob(images.pattern))[images.step // 2 :: images.step]
    return [_smaller(cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)) for file in files]


def _smaller(image: object) -> Array:
    assert isinstance(image, np.ndarray)
    scale = min(1.0, 1280 / image.shape[1])
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def visits(image: Array, rng: np.random.Generator) -> tuple[Picture | None, Picture | None]:
    """Two visits to one field, the second one shifted by up to a quarter of it in both directions."""
    height, width = image.shape[:2]
    size = np.array([height, width]) / (1 + MAX_SHIFT_RATIO)
    shift = rng.uniform(-1, 1, 2) * MAX_SHIFT_RATIO * size
    first = np.maximum(0, -shift)
    corners = [first.astype(int), (first + shift).astype(int)]
    rows, columns = size.astype(int)
    one, other = (
        recognisable(expose(image[down : down + rows, right : right + columns], rng)) for down, right in corners
    )
    return one, other


def expose(part: Array, rng: np.random.Generator) -> Array:
    """A field under another lamp, with other white balance, focus, noise and compression."""
    field = part * rng.uniform(0.85, 1.1) * rng.uniform(0.96, 1.04, 3) + rng.uniform(-8, 8)
    blurred = cv2.GaussianBlur(field, (0, 0), max(0.01, rng.uniform(0, 1.2) * part.shape[1] / 640))
    noisy = np.clip(blurred + rng.normal(0, rng.uniform(1, 5), field.shape), 0, 255).astype(np.uint8)
    _, jpeg = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 95))])
    decoded = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(cv2.resize(decoded, (FIELD_PX, FIELD_PX), interpolation=cv2.INTER_AREA), np.uint8)


def different(images: Iterable[Array], rng: np.random.Generator) -> Iterator[float]:
    """The correlation of pairs of different fields."""
    pictures = [picture for image in images if (picture := recognisable(expose(image, rng))) is not None]
    pairs = list(combinations(range(len(pictures)), 2))
    chosen = rng.permutation(len(pairs))[:PAIRS_MAX]
    for number in chosen:
        one, other = pairs[number]
        yield correlation(pictures[one], pictures[other])


@pytest.mark.parametrize("name", SETS)
def test_a_field_is_found_again_and_another_one_is_not_taken_for_it(shared_data: Path, name: str) -> None:
    chosen, rng = SETS[name], np.random.default_rng(20261129)
    images = held_out(shared_data, chosen)
    again = [visits(image, rng) for image in images for _ in range(VISITS)]
    found = [one is not None and other is not None and correlation(one, other) for one, other in again]
    hits = np.array(found) >= MIN_CORRELATION
    others = np.array(list(different(images, rng)))
    false = others >= MIN_CORRELATION
    log.info(
        "%s: %d images; found again %d of %d, lowest %.2f; taken for another %d of %d pairs, 99.9 %% below %.2f",
        name,
        len(images),
        hits.sum(),
        hits.size,
        min(found),
        false.sum(),
        false.size,
        np.quantile(others, 0.999),
    )
    assert hits.mean() >= 0.99
    if chosen.is_field:
        # The remaining pairs were inspected: all of them show the same cells, photographed twice.
        assert false.mean() <= 0.003
