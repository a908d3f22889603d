"""Files with more than one picture, of which only the first is read."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from edge_agent.errors import ImageError, ImageUnsupported
from edge_agent.vision.jpeg import START_OF_IMAGE

_FORMATS = ("TIFF", "PNG", "WEBP")
_NEW_SUBFILE_TYPE = 254
_REDUCED_RESOLUTION = 1
_DAMAGE = (
    *(Image.DecompressionBombError, OSError, ValueError, SyntaxError, TypeError, KeyError, struct.error),
    OverflowError,  # a tag that should be a whole number is infinite
)
"""Exceptions that Pillow raises, and its tags cause, for damaged files."""
_PAGES_MAX = 1000
"""Counting stops here: a damaged or malicious file could declare millions of pages."""


def pages_left_out(data: bytes, name: str) -> ImageError | None:
    """An error about the pictures of the file ``name`` after the first, which are not read; None if there are none.

    Pages of a TIFF, and the frames of an animated PNG or WebP. Reduced copies in a TIFF do not count.
    """
    count = _count_pages(data)
    if count < 2:
        return None
    return ImageUnsupported(
        f"{name} holds {count}{' or more' if count == _PAGES_MAX else ''} pictures; only the first one was read.",
        remedy="Save each picture as a separate file.",
    )


def _count_pages(data: bytes) -> int:
    if data.startswith(START_OF_IMAGE):
        return 1
    try:
        with warnings.catch_warnings():
            # Warnings about sizes and damaged metadata. Decoding shows whether the picture can be read.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                if isinstance(image, TiffImageFile):
                    return sum(1 for is_reduced in _reduced_flags(image) if not is_reduced)
                return int(getattr(image, "n_frames", 1))
    except _DAMAGE:
        return 1


def _reduced_flags(image: TiffImageFile) -> Iterator[bool]:
    """For each page, whether it is only a reduced copy of another."""
    for number in range(_PAGES_MAX):
        try:
            image.seek(number)
        except (EOFError, *_DAMAGE):
            return
        yield bool(int(image.tag_v2.get(_NEW_SUBFILE_TYPE, 0)) & _REDUCED_RESOLUTION)
