"""Pictures that a camera compressed itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_agent.cameras.frame import Encoded
from edge_agent.errors import ImageError

_START, _END = b"\xff\xd8", b"\xff\xd9"


def whole_jpeg(raw: NDArray[np.uint8], name: str) -> Encoded | ImageError:
    """The buffer that camera ``name`` filled, without the padding that drivers leave behind the picture's end."""
    data = raw.tobytes()
    end = data.rfind(_END)
    if not data.startswith(_START):
        return ImageError(f"{name} gave {len(data)} bytes that are not a JPEG.")
    if end < 0:
        return ImageError(f"{name} gave a JPEG without its end ({len(data)} bytes).")
    return Encoded(data[: end + len(_END)])
