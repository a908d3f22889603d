"""Decodes JPEGs to RGB arrays, and refuses damaged ones, which libjpeg would decode with a warning.

libjpeg decodes damaged data to the end: it fills missing parts with grey, shifts what follows a gap, and only warns.
OpenCV and Pillow drop those warnings, so JPEGs are decoded by simplejpeg, which binds the same libjpeg-turbo, gives the
same pixels, and can raise an error instead.

Damage stays undetected if the data is still a valid JPEG of the right length: a changed bit in the entropy-coded data
usually alters a few blocks and goes unnoticed, because a JPEG has no checksum.
"""

from __future__ import annotations

import re

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from edge_agent.errors import ImageError

START_OF_IMAGE = b"\xff\xd8"

_START_OF_SCAN = b"\xff\xda"
_RESTART_INTERVAL = b"\xff\xdd\x00\x04"

_HARMLESS = re.compile(
    r"Warning: unknown JFIF revision|Unknown Adobe color transform|Invalid SOS parameters|.*bad ICC marker"
)
"""Warnings about the header, not about the pixels."""

_SURPLUS = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd([0-79])$")
_MAX_SURPLUS_BYTES = 32
"""Some webcams (Logitech C270, C910 and others) end every restart interval with a few surplus bytes.

The image is complete: the decoder needed none of them.
"""


def decode_jpeg(data: bytes, *, height_px: int, width_px: int, reduction: int = 1) -> NDArray[np.uint8]:
    """Decode a JPEG of the declared size to uint8 RGB, shape (ceil(h / reduction), ceil(w / reduction), 3).

    ``reduction`` is 1, 2, 4 or 8: the image is then decoded at that scale. Data after the end of the image is ignored:
    phones append a video, cameras a second image or padding.

    Raises ``ImageError`` for data that is cut short or detectably damaged.
    """
    try:
        return _decode(data, height_px, width_px, reduction, strict=True)
    except ValueError as error:
        message = str(error)
        if not (_HARMLESS.match(message) or _only_surplus_bytes(message, data)):
            raise _damaged(data, message) from error
    try:
        return _decode(data, height_px, width_px, reduction, strict=False)
    except ValueError as error:
        raise _damaged(data, str(error)) from error


def _decode(data: bytes, height_px: int, width_px: int, reduction: int, *, strict: bool) -> NDArray[np.uint8]:
    # The decoder uses the smallest scale that reaches a minimum size; without a minimum it does not scale.
    least = (-(-height_px // reduction), -(-width_px // reduction)) if reduction > 1 else (0, 0)
    array = simplejpeg.decode_jpeg(data, "RGB", min_height=least[0], min_width=least[1], strict=strict)
    return np.asarray(array, dtype=np.uint8)


def _only_surplus_bytes(message: str, data: bytes) -> bool:
    surplus = _SURPLUS.match(message)
    in_intervals = _RESTART_INTERVAL in data[: data.find(_START_OF_SCAN)]
    return surplus is not None and in_intervals and int(surplus[1]) <= _MAX_SURPLUS_BYTES


def _damaged(data: bytes, message: str) -> ImageError:
    return ImageError(f"The JPEG is damaged or cut short ({len(data)} bytes): {message}.")
