"""Decodes the whole picture of a frame, as a camera delivered it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.cameras.frame import ColourOrder, Frame, Pixels
from edge_agent.errors import ImageError
from edge_agent.vision.decode import decode_image


def frame_rgb(frame: Frame, *, max_pixels: int) -> NDArray[np.uint8]:
    """The frame as uint8 RGB (h, w, 3) at full size. Raises ``ImageError``."""
    image = frame.image
    if isinstance(image, ImageError):
        raise image
    if isinstance(image, Pixels):
        if image.order is ColourOrder.RGB:
            return image.array
        return np.asarray(cv2.cvtColor(image.array, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    return decode_image(image.data, max_pixels=max_pixels)
