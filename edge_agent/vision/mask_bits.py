"""Opens and closes the masks of several windows at once: each mask is one bit of a byte.

For masks as small as a cell's window, the overhead of OpenCV's calls takes longer than the work, and eight masks fit
into the bytes that OpenCV spends on one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]

_BITS = np.left_shift(1, np.arange(8)).astype(np.uint8)[:, None, None]
_MARGIN_PX = 2
"""How far the larger element reaches beyond a pixel."""


def open_and_close_all(masks: NDArray[np.bool_]) -> Plane:
    """Each of n masks (n, h, w) as ``segmentation.open_and_close`` leaves it: uint8 (n, h, w), not 0 on the mask."""
    count, height, width = masks.shape
    bytes_count = -(-count // len(_BITS))
    bits = np.zeros((bytes_count * len(_BITS), height, width), np.bool_)
    bits[:count] = masks
    # The margin at a row's end also serves the beginning of the next row.
    stride = width + _MARGIN_PX
    framed = np.zeros((bytes_count, height + 2 * _MARGIN_PX, stride), np.uint8)
    inside = np.zeros_like(framed)
    inner = np.s_[:, _MARGIN_PX:-_MARGIN_PX, :width]
    inside[inner] = 255
    each_alone = bits.view(np.uint8).reshape(bytes_count, len(_BITS), height, width) * _BITS
    np.bitwise_or.reduce(each_alone, axis=1, out=framed[inner])
    found = _open_and_close(framed.ravel(), inside.ravel(), stride).reshape(framed.shape)[inner]
    return (found[:, None] & _BITS).reshape(-1, height, width)[:count]


def _open_and_close(masks: Plane, inside: Plane, stride: int) -> Plane:
    """Open and close flattened rows of ``stride`` pixels. Pixels not ``inside`` (255, else 0) are 0 and have no effect.

    Eroding a mask is done by dilating its complement.
    """
    eroded = ~_dilate_widely(masks ^ inside, stride) & inside
    opened = _dilate_widely(eroded, stride) & inside
    dilated = _dilate(opened, stride) & inside
    return ~_dilate(dilated ^ inside, stride) & inside


def _dilate_widely(masks: Plane, stride: int) -> Plane:
    """Dilate by OpenCV's 5 x 5 ellipse: five pixels in three rows, one above and below. The outermost rows become 0."""
    pairs = masks[:-1] | masks[1:]
    fours = pairs[:-2] | pairs[2:]
    fives = fours[:-1] | masks[4:]
    rows = fives[:-stride] | fives[stride:]
    rows = rows[:-stride] | fives[2 * stride :]
    dilated = np.zeros_like(masks)
    # The first of ``rows`` is centred on the third pixel of the second row.
    dilated[2 * stride : -2 * stride] = rows[stride - 2 : 2 - stride]
    dilated[2 * stride : -2 * stride] |= masks[: -4 * stride] | masks[4 * stride :]
    return dilated


def _dilate(masks: Plane, stride: int) -> Plane:
    """Dilate by OpenCV's 3 x 3 ellipse: a cross. The outermost rows become 0."""
    dilated = np.zeros_like(masks)
    dilated[stride:-stride] = masks[stride:-stride] | masks[: -2 * stride] | masks[2 * stride :]
    dilated[stride:-stride] |= masks[stride - 1 : -stride - 1] | masks[stride + 1 : 1 - stride]
    return dilated
