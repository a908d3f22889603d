"""Locates the evidence for a class in a field: the class activation map, comparable between fields and models.

The map's mean over the field is the class's logit (B. Zhou et al., "Learning deep features for discriminative
localization", 2016). A constant added to all classes changes no probability, so the mean over the classes is subtracted
first. A value that all parts of a field share says nothing about place: evidence is a part's excess over the field's
average, in units of that average.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def locate_evidence(
    class_activation_map: NDArray[np.float32], class_index: int, size_px: tuple[int, int]
) -> NDArray[np.float32]:
    """float32 (height, width): the evidence for a class beyond the field's average, in averages; never below 0.

    ``class_activation_map`` is (rows, columns, classes), ``size_px`` the height and width of the answer. 0 is no more
    than the field's average, 1 is twice that. The coarse map is interpolated linearly between the centres of its parts
    and held constant beyond the outer ones. Zero everywhere if the map as a whole does not speak for the class.
    """
    height, width = size_px
    map_ = class_activation_map[..., class_index] - class_activation_map.mean(axis=-1)
    average = float(map_.mean())
    # Rounding of float32 must not become evidence.
    if average <= np.finfo(np.float32).eps * float(np.abs(class_activation_map).max(initial=0)):
        return np.zeros((height, width), np.float32)
    beyond = (map_ / average - 1).astype(np.float32)
    fine = cv2.resize(beyond, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.maximum(fine, 0), dtype=np.float32)
