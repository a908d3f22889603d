"""Turns a frame into the JPEG that is kept."""

from __future__ import annotations

import hashlib

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from edge_agent.cameras.frame import Encoded, Frame, Pixels
from edge_agent.collection.kept_frame import KeptPicture
from edge_agent.errors import ImageError
from edge_agent.vision.decode import decode_image, read_header
from edge_agent.vision.jpeg import START_OF_IMAGE
from edge_agent.vision.jpeg_metadata import strip_metadata

_QUALITY = 95
_CHROMA = "444"
"""Chroma at full resolution: stains are told apart by their colour."""


def make_picture(frame: Frame, *, max_pixels: int) -> tuple[bytes, KeptPicture]:
    """The frame as JPEG without metadata, and the part of its record about the JPEG.

    A JPEG keeps its compressed data, and so its exact pixels; anything else is encoded. Raises ``ImageError`` for a
    frame that cannot be read.
    """
    data = _to_jpeg(frame.image, max_pixels)
    header = read_header(data, max_pixels=max_pixels)
    digest = hashlib.sha256(data).hexdigest()
    return data, KeptPicture(width_px=header.width_px, height_px=header.height_px, size_bytes=len(data), sha256=digest)


def _to_jpeg(image: Pixels | Encoded | ImageError, max_pixels: int) -> bytes:
    match image:
        case ImageError():
            raise image
        case Pixels():
            return _encode(image.array, image.order)
        case Encoded():
            if image.data.startswith(START_OF_IMAGE):
                try:
                    return strip_metadata(image.data)
                except ValueError:
                    # Decoders are more forgiving. Once encoded again, the picture has no metadata either.
                    pass
            return _encode(decode_image(image.data, max_pixels=max_pixels), "RGB")


def _encode(array: NDArray[np.uint8], order: str) -> bytes:
    return bytes(
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(array), quality=_QUALITY, colorspace=str(order), colorsubsampling=_CHROMA
        )
    )
