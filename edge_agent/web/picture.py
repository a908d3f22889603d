"""The picture on the microscope page: the field, its nuclei outlined, and the evidence for the label."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.analysis.reading import Explanation

SCALE = 2
"""Enlarges the field, which is small on a screen."""

_OUTLINE_RGB = (0, 200, 120)
_HEAT_SHARE = 0.35
_JPEG_QUALITY = 85


def draw_explanation(explanation: Explanation, class_index: int | None) -> NDArray[np.uint8]:
    """uint8 RGB (2 * size, 2 * size, 3): the field, its nuclei outlined.

    With ``class_index`` and a class activation map, the positive values of the map for that class are blended in. The
    map's mean over the field is the class's logit, so it shows where the label comes from (B. Zhou et al., "Learning
    deep features for discriminative localization", 2016).
    """
    size = SCALE * explanation.field.shape[1], SCALE * explanation.field.shape[0]
    picture = cv2.resize(explanation.field, size, interpolation=cv2.INTER_CUBIC)
    if class_index is not None and explanation.class_activation_map is not None:
        heat = np.clip(explanation.class_activation_map[..., class_index], 0, None)
        strongest = float(heat.max())
        if strongest > 0:
            levels = cv2.resize((255 * heat / strongest).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)
            coloured = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
            picture = cv2.addWeighted(picture, 1 - _HEAT_SHARE, coloured, _HEAT_SHARE, 0)
    mask = cv2.resize(explanation.nuclei_mask, size, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.ascontiguousarray(picture), outlines, -1, _OUTLINE_RGB, 1), dtype=np.uint8)


def to_jpeg(rgb: NDArray[np.uint8]) -> bytes:
    """A JPEG of a uint8 RGB array."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    encoded, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not encoded:
        raise ValueError(f"OpenCV cannot encode an array of shape {rgb.shape}")
    return bytes(data)
