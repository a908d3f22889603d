"""The layers over a field on the microscope page: nuclei outlined, and the evidence for the label."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.evidence import locate_evidence

_OUTLINE_RGB = (0, 200, 120)

STRONG_RATIO = 0.5
"""Evidence that gets the strongest tint: half as much again as the field's average. It is the same for every field and
model, so that pictures can be compared: scaled to its own maximum, a flat map would look as telling as a sharp map."""

_STRONGEST_OPACITY = 0.45
"""Opacity at which cells remain visible under the strongest tint."""

_COLOURS = cv2.cvtColor(
    cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB
).reshape(256, 3)
"""RGB by level. Viridis is perceptually uniform, also with a colour vision deficiency (N. Smith, S. van der Walt,
Matplotlib, 2015), and its greens and yellows do not occur in stained smears. The greys of cividis vanish on them."""

_LEGEND_SIZE_PX = 12, 240


def outline_nuclei(mask: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """The nuclei's outlines on a transparent layer: uint8 RGBA (height, width, 4).

    ``mask`` is uint8, 255 on nuclei, and may have another size and other proportions.
    """
    height, width = size_px
    enlarged = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(enlarged, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    layer = np.zeros((height, width, 4), np.uint8)
    return np.asarray(cv2.drawContours(layer, outlines, -1, (*_OUTLINE_RGB, 255), 2), dtype=np.uint8)


def tint_evidence(
    class_activation_map: NDArray[np.float32], class_index: int, size_px: tuple[int, int]
) -> NDArray[np.uint8]:
    """A tint where there is evidence for a class (see ``locate_evidence``), transparent where there is none.

    uint8 RGBA (height, width, 4).
    """
    return tint(locate_evidence(class_activation_map, class_index, size_px))


def draw_legend() -> NDArray[np.uint8]:
    """uint8 RGBA (h, w, 4): tints from no evidence on the left to ``STRONG_RATIO`` on the right."""
    ramp = np.linspace(0, STRONG_RATIO, _LEGEND_SIZE_PX[1], dtype=np.float32)
    return tint(np.broadcast_to(ramp, _LEGEND_SIZE_PX))


def tint(evidence: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Colours whose strength and opacity follow ``evidence`` (h, w): uint8 RGBA (h, w, 4)."""
    strength = np.clip(evidence / STRONG_RATIO, 0, 1)
    opacity = np.rint(255 * _STRONGEST_OPACITY * strength).astype(np.uint8)
    return np.dstack([_COLOURS[np.rint(255 * strength).astype(np.uint8)], opacity])


def to_png(rgba: NDArray[np.uint8]) -> bytes:
    """A PNG of a uint8 RGBA array."""
    encoded, data = cv2.imencode(".png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))
    if not encoded:
        raise ValueError(f"OpenCV cannot encode an array of shape {rgba.shape}")
    return bytes(data)
