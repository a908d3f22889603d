"""A focus score for a whole picture, whatever it shows."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

VIEW_PX = 640, 480
"""Width and height to which larger pictures are scaled for the score: fine enough for cells' edges, while most of the
sensor's noise is averaged away."""

_PER = 1000.0


def focus_score(grey: NDArray[np.uint8]) -> float:
    """How sharp a uint8 grey picture (h, w) is: 0 or more, without a unit; 0 if it is smaller than 3 x 3 px.

    Vollath's F4 (D. Vollath, "The influence of the scene parameters and of noise on the behaviour of automatic focusing
    algorithms", Journal of Microscopy, 1988; compared by Y. Sun et al., "Autofocusing in computer microscopy", 2004):
    the autocorrelation at one pixel less that at two, here of rows and of columns, in thousandths of the squared mean
    brightness. The sensor's noise differs from pixel to pixel and cancels out; the division cancels exposure. Scores
    of different fields cannot be compared: more cells have more edges.
    """
    mean = float(cv2.mean(grey)[0])
    if mean == 0 or min(grey.shape) < 3:
        return 0.0
    # The difference of two autocorrelations is half the difference of the mean squares of the pixels' differences.
    across = _mean_square(grey[:, 2:], grey[:, :-2]) - _mean_square(grey[:, 1:], grey[:, :-1])
    down = _mean_square(grey[2:], grey[:-2]) - _mean_square(grey[1:], grey[:-1])
    return max(0.0, _PER * (across + down) / 2 / mean**2)


def _mean_square(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(cv2.norm(one, other, cv2.NORM_L2SQR)) / one.size
