"""The preprocessing, shared by training and device: from a field, or a cell's window, to the network's input image.

A preprocessing is named and versioned, and a bundle names the one it was trained with. The meaning of a released name
never changes: a change gets a new version number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.cell_stain import standardise_cells
from edge_agent.vision.cells import find_cells
from edge_agent.vision.colour import to_lab
from edge_agent.vision.segmentation import cells_mask

Array = NDArray[np.uint8]


def _median(size_px: int) -> Callable[[Array], Array]:
    return lambda field: np.asarray(cv2.medianBlur(field, size_px), dtype=np.uint8)


def _bilateral(field: Array) -> Array:
    return np.asarray(cv2.bilateralFilter(field, d=5, sigmaColor=25, sigmaSpace=2), dtype=np.uint8)


DENOISERS: Mapping[str, Callable[[Array], Array]] = MappingProxyType(
    {"none": lambda field: field, "median3": _median(3), "median5": _median(5), "bilateral5": _bilateral}
)
"""Denoising functions by name, from uint8 (h, w, 3) to the same shape."""

SEGMENTATION_DENOISER = DENOISERS["median3"]
"""Denoises a view before its nuclei are searched for, however the network's input is denoised."""


def _rgb_1(denoised: Array, _nuclei: Array) -> Array:
    return denoised


def _lab_1(denoised: Array, _nuclei: Array) -> Array:
    return to_lab(denoised)


def _segmented_2(denoised: Array, nuclei: Array) -> Array:
    return np.asarray(cv2.copyTo(denoised, cells_mask(nuclei)), dtype=np.uint8)


PREPROCESSINGS: Mapping[str, Callable[[Array, Array], Array]] = MappingProxyType(
    {"rgb@1": _rgb_1, "lab@1": _lab_1, "segmented@2": _segmented_2}
)
"""From the denoised RGB field (h, w, 3) and the mask of its nuclei (h, w) to the network's image (h, w, 3), all uint8.

* ``rgb@1``: the denoised field.
* ``lab@1``: its CIE LAB, as ``to_lab`` scales it to 8 bits.
* ``segmented@2``: the denoised field, black except for the nucleated cells. (``segmented@1`` had other nuclei.)
"""

WINDOW_PREPROCESSINGS: Mapping[str, Callable[[Array], Array]] = MappingProxyType({"cell_stain@1": standardise_cells})
"""Preprocessings of cells' windows only, from n denoised RGB windows (n, h, w, 3) to as many network images, all uint8.
They rely on one cell in the middle of each window. A bundle for whole fields cannot have them.

* ``cell_stain@1``: the cell on white, in a standard stain.
"""

WITHOUT_NUCLEI = frozenset({"rgb@1", "lab@1"})
"""Preprocessings that do not use the mask, so that no nuclei have to be found first."""


def preprocess(field: Array, preprocessing_id: str, denoise: str) -> Array:
    """Run all steps on a uint8 RGB field, or window of a cell, (h, w, 3). ``KeyError`` for an unknown name.

    The analyzer runs the same steps on a field one by one, to time them and to use intermediate results.
    """
    if preprocessing_id in WINDOW_PREPROCESSINGS:
        return preprocess_windows([field], preprocessing_id, denoise)[0]
    denoised = DENOISERS[denoise](field)
    finish = PREPROCESSINGS[preprocessing_id]
    if preprocessing_id in WITHOUT_NUCLEI:
        # Finding nuclei takes as long as a small network.
        return finish(denoised, np.zeros(denoised.shape[:2], np.uint8))
    return finish(denoised, find_cells(SEGMENTATION_DENOISER(field)).segmentation.mask)


def preprocess_windows(windows: Sequence[Array], preprocessing_id: str, denoise: str) -> list[Array]:
    """As ``preprocess`` for each of the windows of a field's cells, all of one shape, in a third of the time."""
    if preprocessing_id not in WINDOW_PREPROCESSINGS:
        return [preprocess(each, preprocessing_id, denoise) for each in windows]
    if not windows:
        return []
    denoised: Array = np.stack([DENOISERS[denoise](each) for each in windows])
    return list(WINDOW_PREPROCESSINGS[preprocessing_id](denoised))
