"""A frame: one picture from a camera."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from edge_agent.contracts import CaptureSettings
from edge_agent.errors import ImageError


class ColourOrder(StrEnum):
    """Order of the channels in an array. Declared by the camera, never guessed."""

    RGB = "RGB"
    BGR = "BGR"


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """A picture in memory: uint8 array of shape (height, width, 3), channels in ``order``."""

    array: NDArray[np.uint8]
    order: ColourOrder

    def __post_init__(self) -> None:
        if self.array.dtype != np.uint8 or self.array.ndim != 3 or self.array.shape[2] != 3:
            raise ValueError(f"expected uint8 (h, w, 3), not {self.array.dtype} {self.array.shape}")


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A compressed picture (JPEG, PNG, ...), to be decoded at the scale that is needed."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture, with the time, place and settings of its capture.

    ``image`` may be an error in place of the picture (a file that cannot be read). Such a frame still becomes a
    reading, ``failed``, so that counts reconcile.
    """

    camera: str
    """Id of the camera, one topic segment."""
    captured_at: datetime
    """UTC."""
    monotonic_ns: int
    """``time.monotonic_ns()`` at capture."""
    image: Pixels | Encoded | ImageError
    settings: CaptureSettings = field(default_factory=CaptureSettings)
    source: str | None = None
    """File, position in a video, or synthetic truth."""


def frame_now(
    camera: str,
    image: Pixels | Encoded | ImageError,
    *,
    settings: CaptureSettings | None = None,
    source: str | None = None,
) -> Frame:
    """A frame captured now, by the wall clock and the monotonic clock."""
    return Frame(
        camera=camera,
        captured_at=datetime.now(UTC),
        monotonic_ns=time.monotonic_ns(),
        image=image,
        settings=settings if settings is not None else CaptureSettings(),
        source=source,
    )
