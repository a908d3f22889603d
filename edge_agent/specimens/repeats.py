"""Finds a field that a slide has shown before, even if the stage came back a little beside it.

The grey field is reduced to 48 by 48 pixels, and slow variations across it (the lamp, the background's tint) are
removed. The middle half of one picture is then searched for in another by normalised cross-correlation, which does not
depend on brightness and contrast, and the best place is confirmed on the whole area that the two share. Method: J. P.
Lewis, Fast Normalized Cross-Correlation, Vision Interface 1995. The figures are in ``docs/slides.md``.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE_PX = 48
MAX_SHIFT_PX = SIDE_PX // 4
"""The middle half of a picture is found if it is still inside the other one."""
MIN_CORRELATION = 0.6
"""Least correlation of two views of one field; two fields of one slide stay below 0.35. Chosen on half of the
images."""
KEPT_COUNT = 500
"""Fields that a new one is compared with; beyond this number the oldest is forgotten."""

_MIN_SPREAD = 2.0
"""In grey levels. A picture with less detail than noise has nothing to be recognised by."""
_SLOW_PX = SIDE_PX / 8
_LEVELS_PER_SPREAD = 32

Picture = NDArray[np.uint8]
"""uint8 (48, 48), the picture by which a field is recognised."""


def recognisable(field: NDArray[np.uint8]) -> Picture | None:
    """The picture by which a field, uint8 RGB (height, width, 3), is recognised; None if it shows next to nothing."""
    grey = cv2.cvtColor(field, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    detail = small - cv2.GaussianBlur(small, (0, 0), _SLOW_PX)
    spread = float(detail.std())
    if spread < _MIN_SPREAD:
        return None
    picture: Picture = np.clip(np.rint(detail * (_LEVELS_PER_SPREAD / spread) + 128), 0, 255).astype(np.uint8)
    return picture


def correlation(one: Picture, other: Picture, *, least: float = -1.0) -> float:
    """How alike two pictures are where they overlap best, -1 to 1; shifts of up to a quarter are tried.

    A value below ``least`` is not confirmed, which saves time; it may be too high.
    """
    inner = one[MAX_SHIFT_PX:-MAX_SHIFT_PX, MAX_SHIFT_PX:-MAX_SHIFT_PX]
    likeness = cv2.matchTemplate(other, inner, cv2.TM_CCOEFF_NORMED)
    _, best, _, (x, y) = cv2.minMaxLoc(likeness)
    if best < least:
        return best
    # The middle alone may resemble another field's by chance; its surroundings do not.
    down, right = y - MAX_SHIFT_PX, x - MAX_SHIFT_PX
    shared_one, shared_other = _shared(one, down, right), _shared(other, -down, -right)
    whole = cv2.matchTemplate(shared_other, shared_one, cv2.TM_CCOEFF_NORMED)
    return float(min(best, whole[0, 0]))


def _shared(picture: Picture, down: int, right: int) -> Picture:
    """The part of a picture that another one, whose content lies that much further down and right, shows too."""
    rows = slice(max(0, -down), SIDE_PX - max(0, down))
    columns = slice(max(0, -right), SIDE_PX - max(0, right))
    return np.ascontiguousarray(picture[rows, columns])


class SeenFields:
    """The fields of a slide that were counted, by the number of their reading."""

    def __init__(self, pictures: Iterable[tuple[int, Picture]] = ()) -> None:
        self._pictures = dict(pictures)

    def find(self, picture: Picture) -> int | None:
        """Number of the field that this picture shows, the latest one if several fit; None if it is new.

        Takes about 0.1 ms for each field that it has to compare with. A stage that stands still shows the latest field.
        """
        latest_first = reversed(self._pictures.items())
        fitting = (
            number
            for number, seen in latest_first
            if correlation(picture, seen, least=MIN_CORRELATION) >= MIN_CORRELATION
        )
        return next(fitting, None)

    @property
    def surplus(self) -> int | None:
        """Number of the field that ``add`` will forget; None while there is room."""
        return next(iter(self._pictures)) if len(self._pictures) >= KEPT_COUNT else None

    def add(self, number: int, picture: Picture) -> None:
        """Remember a field, in place of the oldest if there are too many."""
        surplus = self.surplus
        if surplus is not None:
            del self._pictures[surplus]
        self._pictures[number] = picture

    def __len__(self) -> int:
        return len(self._pictures)
