"""Files that hold more pictures than the one that is read."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from edge_agent.errors import ImageError, ImageUnsupported

_FORMATS = ("TIFF", "PNG", "WEBP")
_NEW_SUBFILE_TYPE = 254
_REDUCED_RESOLUTION = 1
_DAMAGE = (Image.DecompressionBombError, OSError, ValueError, SyntaxError, TypeError, KeyError, struct.error)
"""What Pillow raises for files that are damaged."""
_PAGES_MAX = 1000
"""Beyond which nobody counts on: the pages of a damaged or malicious file could be millions."""


def pages_left_out(data: bytes, name: str) -> ImageError | None:
    """What to say of the pictures of the file ``name`` after its first one, which alone is read; None without any.

    Pages of a TIFF, and the frames of an animated PNG or WebP. A TIFF's reduced copies of its picture do not count.
    """
    count = _count_pages(data)
    if count < 2:
        return None
    return ImageUnsupported(
        f"{name} holds {count}{' or more' if count == _PAGES_MAX else ''} pictures; only the first one was read.",
        remedy="Save each picture to a file of its own.",
    )


def _count_pages(data: bytes) -> int:
    try:
        with warnings.catch_warnings():
            # Of sizes and damaged metadata; whether the picture can be read is found out by its decoding.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                if isinstance(image, TiffImageFile):
                    return sum(1 for is_reduced in _reduced_flags(image) if not is_reduced)
                return int(getattr(image, "n_frames", 1))
    except _DAMAGE:
        return 1


def _reduced_flags(image: TiffImageFile) -> Iterator[bool]:
    """Per page, whether it is but a reduced copy of another."""
    for number in range(_PAGES_MAX):
        try:
            image.seek(number)
        except (EOFError, *_DAMAGE):
            return
        yield bool(int(image.tag_v2.get(_NEW_SUBFILE_TYPE, 0)) & _REDUCED_RESOLUTION)
