"""JPEGs that a camera compressed itself."""

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
    """The JPEG that ``name`` put into its buffer, or the error in it.

    :param raw: uint8, the bytes as received. Zeros after the picture, with which drivers pad it, are removed.
    :param size_px: (width, height) that the camera declares; None where it does not report it.

    A picture that is cut short, or of another size than declared, is an ``ImageError``: the missing part would be grey,
    or left over from the picture before.
    """
    data = raw.tobytes().rstrip(b"\0")
    if not data.startswith(_START):
        return ImageError(f"{name} gave {len(data)} bytes that are not a JPEG.", remedy=_REMEDY)
    if _END not in data:
        return ImageError(f"{name} delivered a JPEG without an end ({len(data)} bytes).", remedy=_REMEDY)
    try:
        # The analysis decides how many pixels are too many.
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


_REMEDY = "Check the cable or network; a weak one loses a picture now and then."
