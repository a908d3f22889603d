"""Measures how far a field is from those that a bundle was trained on.

A network gives every picture a label, and softmax is no guard: it is as sure of another laboratory's slide as of its
own. So familiarity is measured where training changed nothing: in a middle layer with its general-purpose weights. The
Mahalanobis distance of its activations' statistics from those of the training images is small for images that vary like
the training images and large for all others (Lee, Lee, Lee and Shin, 2018; here with one Gaussian for all classes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import BundleError, BundleMismatch
from edge_agent.inference.arrays import read_arrays
from edge_agent.inference.bundle import OOD, Bundle

_STRIDE_PX = 4
"""Every fourth pixel in each direction is enough for the field's colours; all of them would take ten times as long."""

_PIXEL = np.dtype((np.void, 3))
"""A pixel as one item: numpy copies three bytes at once faster than one byte three times."""


@dataclass(frozen=True, slots=True, eq=False)
class Familiarity:
    """The training images' descriptions as one Gaussian."""

    mean: NDArray[np.float32]
    """(d,)."""
    whitening: NDArray[np.float32]
    """(d, d): makes the training images' descriptions uncorrelated and of unit variance."""

    @classmethod
    def load(cls, bundle: Bundle, channels_count: int) -> Self:
        """Load the familiarity of a verified bundle whose middle map has ``channels_count`` channels.

        Raises ``BundleError`` if its file cannot be read, ``BundleMismatch`` if it is for another map.
        """
        name = bundle.manifest.name
        try:
            arrays = read_arrays(bundle.contents[OOD], ("mean", "whitening"))
        except ValueError as error:
            raise BundleError(f"Bundle '{name}': {OOD} cannot be read: {error}.") from error
        mean, whitening = arrays["mean"], arrays["whitening"]
        size = description_size(channels_count)
        if mean.shape != (size,) or whitening.shape != (size, size):
            raise BundleMismatch(
                f"Bundle '{name}': {OOD} has shapes {mean.shape} and {whitening.shape}; a middle map of "
                f"{channels_count} channels needs {(size,)} and {(size, size)}."
            )
        if not all(each.dtype == np.float32 and np.isfinite(each).all() for each in (mean, whitening)):
            raise BundleMismatch(f"Bundle '{name}': {OOD} does not hold finite float32 numbers.")
        return cls(mean, whitening)

    def scores(self, images: Sequence[NDArray[np.uint8]], middle_maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mahalanobis distances (n,), at least 0; about the square root of the description's size if familiar.

        ``images`` are preprocessed fields or windows, ``middle_maps`` their middle maps; see ``describe_all``.
        """
        return self.distances(describe_all(images, middle_maps))

    def distances(self, descriptions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mahalanobis distances (...) of descriptions (..., d)."""
        return np.asarray(np.linalg.norm((descriptions - self.mean) @ self.whitening.T, axis=-1))


def describe(image: NDArray[np.uint8], middle_map: NDArray[np.float32]) -> NDArray[np.float32]:
    """The description of a field: float32 (``description_size(channels)``,).

    Mean and standard deviation over the map of each channel of ``middle_map`` (rows, columns, channels), then those of
    CIE LAB over the uint8 ``image`` (h, w, 3), taken as RGB: the layer knows shapes better than colours.
    """
    described: NDArray[np.float32] = describe_all([image], middle_map[None])[0]
    return described


def describe_all(images: Sequence[NDArray[np.uint8]], middle_maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The descriptions of n fields or windows at once: float32 (n, ``description_size(channels)``).

    ``images`` are uint8 RGB (h, w, 3), all of one shape, and ``middle_maps`` float32 (n, rows, columns, channels).
    """
    places = middle_maps.reshape(len(images), -1, middle_maps.shape[-1])
    means = places.mean(axis=1)
    apart = places - means[:, None]
    deviations = np.sqrt(np.square(apart, out=apart).mean(axis=1))
    pixels = [np.ascontiguousarray(image).view(_PIXEL) for image in images]
    few = np.concatenate([each[::_STRIDE_PX, ::_STRIDE_PX] for each in pixels]).view(np.uint8)
    colours = cv2.cvtColor(few, cv2.COLOR_RGB2LAB).reshape(len(images), -1, *few.shape[1:])
    tints = np.array([cv2.meanStdDev(each) for each in colours])
    return np.concatenate([means, deviations, tints.reshape(len(images), -1)], axis=1, dtype=np.float32)


def description_size(channels_count: int) -> int:
    """Length of the description of a field whose middle map has this many channels."""
    return 2 * (channels_count + 3)
