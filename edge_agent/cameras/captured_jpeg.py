"""Pictures that a camera compressed itself."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from edge_agent.cameras.frame import Encoded
from edge_agent.errors import ImageError
from edge_agent.vision.decode import read_header

_START, _END = b"\xff\xd8", b"\xff\xd9"


def captured_jpeg(
    raw: NDArray[np.uint8], name: str, *, size_px: tuple[int | None, int | None] = (None, None)
) -> Encoded | ImageError:
    """The JPEG that ``name`` put into its buffer, or what is wrong with it.

    :param raw: uint8, the bytes as they came. Zeros behind the picture, with which drivers pad it, are cut off.
    :param size_px: (width, height) that the camera declares; None for what it does not tell.

    A picture whose bytes break off, or of another size than declared, is an ``ImageError``: the missing part would be
    grey, or what is left of the picture before.
    """
    data = raw.tobytes().rstrip(b"\0")
    if not data.startswith(_START):
        return ImageError(f"{name} gave {len(data)} bytes that are not a JPEG.", remedy=_REMEDY)
    if _END not in data:
        return ImageError(f"{name} gave a JPEG without its end ({len(data)} bytes).", remedy=_REMEDY)
    try:
        # How many pixels are too many is for the analysis to say.
        header = read_header(data, max_pixels=sys.maxsize)
    except ImageError as error:
        return ImageError(f"{name} gave a damaged JPEG. {error.message}", remedy=_REMEDY)
    width_px, height_px = size_px
    if (width_px or header.width_px, height_px or header.height_px) != (header.width_px, header.height_px):
        return ImageError(
            f"{name} gave a JPEG of {header.width_px} x {header.height_px} px, "
            f"and declares {width_px or header.width_px} x {height_px or header.height_px}.",
            remedy=_REMEDY,
        )
    return Encoded(data)


_REMEDY = "Check the cable, or the network on the way; a picture now and then is lost to a weak one."
