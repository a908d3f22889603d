"""The hash by which the image of a reading can be found again."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from edge_agent.cameras.frame import Encoded, Frame
from edge_agent.contracts import ImageIdentity


def image_identity(frame: Frame, rgb: NDArray[np.uint8] | None = None) -> ImageIdentity | None:
    """The hash of the compressed bytes if there are any, else of the judged pixels ``rgb``, uint8 (h, w, 3).

    None if there are neither.
    """
    image = frame.image
    if isinstance(image, Encoded):
        content: bytes | memoryview = image.data
    elif rgb is not None:
        content = rgb.data
    else:
        return None
    return ImageIdentity(sha256=hashlib.sha256(content).hexdigest(), stored=False)
