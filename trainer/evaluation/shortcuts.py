"""Shortcuts: properties of an image that are not a cell but may predict its label.

Burnt-in scale bar, border, light, colours and the size of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.data.colours import background
from trainer.data.dataset import ImageFile

CORNER_PX = (24, 44)
"""Height and width of the bottom-right corner that contains the scale bars of the all4 images."""
BORDER_PX = 8
_CELLS_ALONG = 28
_BINS = (8, 16, 16)

Field = NDArray[np.uint8]


def corner(field: Field) -> NDArray[np.float32]:
    """The bottom-right corner at half its size: float32 (792,)."""
    height, width = CORNER_PX
    small = cv2.resize(field[-height:, -width:], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32).ravel()


def border(field: Field) -> NDArray[np.float32]:
    """The outermost pixels except the corners, averaged along each side over 28 stretches: float32 (336,)."""
    lab = cv2.cvtColor(field, cv2.COLOR_RGB2LAB)
    height, width = CORNER_PX
    strips = (
        lab[:BORDER_PX, width:-width],
        lab[-BORDER_PX:, width:-width],
        lab[height:-height, :BORDER_PX].swapaxes(0, 1),
        lab[height:-height, -BORDER_PX:].swapaxes(0, 1),
    )
    small = [
        cv2.resize(np.ascontiguousarray(strip), (_CELLS_ALONG, 1), interpolation=cv2.INTER_AREA) for strip in strips
    ]
    return np.concatenate(small).astype(np.float32).ravel()


def histogram(field: Field) -> NDArray[np.float32]:
    """Joint CIE LAB histogram, float32 (2048,): all colours, but no shape."""
    lab = cv2.cvtColor(field, cv2.COLOR_RGB2LAB)
    # The a* and b* of a smear fill the middle half of their range.
    counts = cv2.calcHist([lab], [0, 1, 2], None, list(_BINS), [0, 256, 64, 192, 64, 192])
    return counts.astype(np.float32).ravel()


BY_FIELD: dict[str, Callable[[Field], NDArray[np.float32]]] = {
    "scale-bar corner": corner,
    "border": border,
    "background colour": background,
    "colour histogram": histogram,
}
FILE_SIZE = "file size"


def shortcut_values(
    data: Path, files: Sequence[ImageFile], fields: NDArray[np.uint8]
) -> dict[str, NDArray[np.float32]]:
    """Each shortcut by its name, float32 (n, ...), for files below ``data`` and their fields uint8 RGB (n, h, w, 3)."""
    sizes = np.array([[(data / file.path).stat().st_size] for file in files], np.float32)
    return {
        **{name: np.stack([measure(field) for field in fields]) for name, measure in BY_FIELD.items()},
        FILE_SIZE: sizes,
    }
