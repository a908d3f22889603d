"""A card of four colours, to test whether a camera declares the right channel order."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.cameras.frame import ColourOrder, Encoded, Frame, Pixels

CARD_PATCHES_RGB = ((220, 30, 30), (30, 200, 30), (30, 30, 220), (128, 128, 128))
"""Red, green, blue and grey, from left to right."""


def colour_card(order: ColourOrder, *, height_px: int = 64, patch_px: int = 64) -> NDArray[np.uint8]:
    """The patches side by side, channels in ``order``: uint8 (height_px, 4 * patch_px, 3)."""
    rgb = np.zeros((height_px, patch_px * len(CARD_PATCHES_RGB), 3), np.uint8)
    for number, colour in enumerate(CARD_PATCHES_RGB):
        rgb[:, number * patch_px : (number + 1) * patch_px] = colour
    return rgb if order is ColourOrder.RGB else np.ascontiguousarray(rgb[..., ::-1])


def card_seen(frame: Frame) -> list[tuple[int, ...]]:
    """The mean RGB of each patch's centre, in the channel order that the frame declares.

    Raises ``TypeError`` for a frame without a picture.
    """
    match frame.image:
        case Pixels(array=array, order=order):
            rgb = array if order is ColourOrder.RGB else array[..., ::-1]
        case Encoded(data=data):
            decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
            if decoded is None:
                raise TypeError("not a picture that OpenCV reads")
            rgb = np.asarray(decoded, np.uint8)
        case _:
            raise TypeError(f"no picture: {frame.image!r}")
    height, width = rgb.shape[:2]
    patch = width // len(CARD_PATCHES_RGB)
    middles = (
        rgb[height // 4 : 3 * height // 4, number * patch + patch // 4 : (number + 1) * patch - patch // 4]
        for number in range(len(CARD_PATCHES_RGB))
    )
    return [tuple(round(float(level)) for level in middle.mean((0, 1))) for middle in middles]
