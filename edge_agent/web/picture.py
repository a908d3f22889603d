"""The picture on the microscope page: the field, its nuclei outlined, and the evidence for the label."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.analysis.reading import Explanation
from edge_agent.vision.evidence import locate_evidence

SCALE = 2
"""Enlarges the field, which is small on a screen."""

_OUTLINE_RGB = (0, 200, 120)
_JPEG_QUALITY = 85

STRONG_RATIO = 0.5
"""Evidence that gets the strongest tint: half as much again as the field's average. It is the same for every field and
model, so that pictures can be compared: scaled to its own maximum, a flat map would look as telling as a sharp one."""

_STRONGEST_OPACITY = 0.45
"""Cells remain visible under the strongest tint."""

_COLOURS = cv2.cvtColor(
    cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB
).reshape(256, 3)
"""RGB by level. Viridis is perceptually uniform, also with a colour vision deficiency (N. Smith, S. van der Walt,
Matplotlib, 2015), and its greens and yellows do not occur in stained smears. The greys of cividis vanish on them."""

_SCALE_SIZE_PX = 12, 240
_SCALE_BACKGROUND = 225
"""As bright as the background of a smear."""


def draw_explanation(explanation: Explanation, class_index: int | None) -> NDArray[np.uint8]:
    """uint8 RGB (2 * height, 2 * width, 3): the field, its nuclei outlined; the mask may have a size of its own.

    With ``class_index`` and a class activation map, the field is tinted where there is evidence for that class (see
    ``locate_evidence``), and stays as it is where there is none.
    """
    height, width = SCALE * explanation.field.shape[0], SCALE * explanation.field.shape[1]
    picture = np.asarray(cv2.resize(explanation.field, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    if class_index is not None and explanation.class_activation_map is not None:
        picture = tint(picture, locate_evidence(explanation.class_activation_map, class_index, (height, width)))
    mask = cv2.resize(explanation.nuclei_mask, (width, height), interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.ascontiguousarray(picture), outlines, -1, _OUTLINE_RGB, 1), dtype=np.uint8)


def draw_scale() -> NDArray[np.uint8]:
    """uint8 RGB (h, w, 3): the legend, tints from no evidence on the left to ``STRONG_RATIO`` on the right."""
    background = np.full((*_SCALE_SIZE_PX, 3), _SCALE_BACKGROUND, np.uint8)
    ramp = np.linspace(0, STRONG_RATIO, _SCALE_SIZE_PX[1], dtype=np.float32)
    return tint(background, np.broadcast_to(ramp, _SCALE_SIZE_PX))


def tint(rgb: NDArray[np.uint8], evidence: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Blend colours into a uint8 RGB (h, w, 3) array, as strongly as ``evidence`` (h, w) says.

    Pixels without evidence keep their exact value.
    """
    strength = np.clip(evidence / STRONG_RATIO, 0, 1)
    opacity = (_STRONGEST_OPACITY * strength)[..., None]
    colours = _COLOURS[np.rint(255 * strength).astype(np.uint8)]
    return np.asarray(np.rint(rgb + opacity * (colours - rgb.astype(np.float32))), dtype=np.uint8)


def to_jpeg(rgb: NDArray[np.uint8]) -> bytes:
    """A JPEG of a uint8 RGB array."""
    return _encode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])


def to_png(rgb: NDArray[np.uint8]) -> bytes:
    """A PNG of a uint8 RGB array."""
    return _encode(".png", rgb, [])


def _encode(extension: str, rgb: NDArray[np.uint8], options: list[int]) -> bytes:
    encoded, data = cv2.imencode(extension, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    if not encoded:
        raise ValueError(f"OpenCV cannot encode an array of shape {rgb.shape}")
    return bytes(data)
