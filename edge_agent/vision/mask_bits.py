"""Opens and closes the masks of several windows at once: each is one bit of a byte.

Of masks as small as a cell's window, what surrounds OpenCV's work takes longer than the work, and eight of them fit
into the bytes that it spends on one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]

_BITS = np.left_shift(1, np.arange(8)).astype(np.uint8)[:, None, None]
_MARGIN_PX = 2
"""What the larger element reaches beyond a pixel."""


def open_and_close_all(masks: NDArray[np.bool_]) -> Plane:
    """Each of n masks (n, h, w) as ``segmentation.open_and_close`` leaves it: uint8 (n, h, w), not 0 on the mask."""
    count, height, width = masks.shape
    bytes_count = -(-count // len(_BITS))
    bits = np.zeros((bytes_count * len(_BITS), height, width), np.bool_)
    bits[:count] = masks
    # A row's end is the margin of the next row's beginning, too.
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
    """Of rows of ``stride`` in a row, (pixels,). What is not ``inside`` (255, else 0) is 0 and says nothing.

    What is eroded is what dilating all the rest leaves.
    """
    eroded = ~_dilate_widely(masks ^ inside, stride) & inside
    opened = _dilate_widely(eroded, stride) & inside
    dilated = _dilate(opened, stride) & inside
    return ~_dilate(dilated ^ inside, stride) & inside


def _dilate_widely(masks: Plane, stride: int) -> Plane:
    """By OpenCV's ellipse of 5 x 5: five pixels in three rows, one above and below. The outermost rows become 0."""
    pairs = masks[:-1] | masks[1:]
    fours = pairs[:-2] | pairs[2:]
    fives = fours[:-1] | masks[4:]
    rows = fives[:-stride] | fives[stride:]
    rows = rows[:-stride] | fives[2 * stride :]
    dilated = np.zeros_like(masks)
    # The first of ``rows`` is around the third pixel of the second row.
    dilated[2 * stride : -2 * stride] = rows[stride - 2 : 2 - stride]
    dilated[2 * stride : -2 * stride] |= masks[: -4 * stride] | masks[4 * stride :]
    return dilated


def _dilate(masks: Plane, stride: int) -> Plane:
    """By OpenCV's ellipse of 3 x 3: a cross. The outermost rows become 0."""
    dilated = np.zeros_like(masks)
    dilated[stride:-stride] = masks[stride:-stride] | masks[: -2 * stride] | masks[2 * stride :]
    dilated[stride:-stride] |= masks[stride - 1 : -stride - 1] | masks[stride + 1 : 1 - stride]
    return dilated
