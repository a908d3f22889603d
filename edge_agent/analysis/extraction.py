"""The result of extracting a frame: its field, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_agent.analysis.stage_timer import StageTimer
from edge_agent.cameras.frame import Frame
from edge_agent.contracts import Reason
from edge_agent.errors import EdgeAgentError
from edge_agent.vision.decode import ImageHeader
from edge_agent.vision.field import View


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """A compressed frame as far as it was decoded for its field."""

    rgb: NDArray[np.uint8]
    """uint8 RGB (h, w, 3), the whole frame."""
    reduction: int
    """The factor by which it is scaled down."""
    header: ImageHeader


@dataclass(frozen=True, slots=True, eq=False)
class ExtractedField:
    """A frame and its field, ready to be judged."""

    frame: Frame
    timer: StageTimer
    rgb: NDArray[np.uint8]
    """uint8 RGB (size, size, 3), at the size of the model's input."""
    view: View
    """The same part of the frame for finding cells in, with square pixels if the frame has them."""
    thumbnail: NDArray[np.uint8]
    """uint8 grey (32, 32), to compare fields by."""
    decoded: DecodedFrame | None = None
    """Kept if cells are judged, whose windows are cut from it; None for a frame that was not compressed."""


@dataclass(frozen=True, slots=True, eq=False)
class RejectedFrame:
    """A frame that shows no usable field."""

    frame: Frame
    timer: StageTimer
    reason: Reason

    @property
    def thumbnail(self) -> None:
        """There is no field to compare."""
        return


@dataclass(frozen=True, slots=True, eq=False)
class FailedFrame:
    """A frame whose field could not be extracted."""

    frame: Frame
    timer: StageTimer
    error: EdgeAgentError

    @property
    def thumbnail(self) -> None:
        """There is no field to compare."""
        return


Extraction: TypeAlias = ExtractedField | RejectedFrame | FailedFrame
"""The results of extraction. Each has ``frame``, ``timer`` and ``thumbnail``."""
