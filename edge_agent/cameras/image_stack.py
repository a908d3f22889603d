"""Files that hold more pictures than the one that is read."""

from __future__ import annotations

import io
import warnings

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from edge_agent.errors import ImageError, ImageUnsupported

_FORMATS = ("TIFF", "PNG", "WEBP")
_NEW_SUBFILE_TYPE = 254
_REDUCED_RESOLUTION = 1


def pages_left_out(data: bytes, name: str) -> ImageError | None:
    """What to say of the pictures of the file ``name`` after its first one, which alone is read; None without any.

    Pages of a TIFF, and the frames of an animated PNG or WebP. A TIFF's reduced copies of its picture do not count.
    """
    count = _count_pages(data)
    if count < 2:
        return None
    return ImageUnsupported(
        f"{name} holds {count} pictures; only the first one was read.",
        remedy="Save each picture to a file of its own.",
    )


def _count_pages(data: bytes) -> int:
    try:
        with warnings.catch_warnings():
            # Of sizes and damaged metadata; whether the picture can be read is found out by its decoding.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                count = int(getattr(image, "n_frames", 1))
                if not isinstance(image, TiffImageFile):
                    return count
                return sum(not _is_reduced(image, number) for number in range(count))
    except (Image.DecompressionBombError, OSError, ValueError, SyntaxError, TypeError, KeyError, EOFError):
        return 1


def _is_reduced(image: TiffImageFile, number: int) -> bool:
    image.seek(number)
    return bool(int(image.tag_v2.get(_NEW_SUBFILE_TYPE, 0)) & _REDUCED_RESOLUTION)
