"""A fake ``cv2.VideoCapture``: behaves like the real one in the parts that the cameras use, and in how it fails."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


class FakeVideoCapture:
    """A USB camera as OpenCV shows it. Use as the factory as well: calling it opens it.

    :param pictures: what ``read`` returns, in turn; None is a failed read, an exception is raised. The last one
        repeats.
    :param fixed: properties that keep their value, whatever is set.
    :param absent: properties that the driver does not have: ``set`` is False, ``get`` is -1.
    """

    def __init__(
        self,
        pictures: Sequence[NDArray[np.uint8] | Exception | None] = (None,),
        *,
        opens: bool = True,
        fixed: Mapping[int, float] | None = None,
        absent: Sequence[int] = (),
    ) -> None:
        self._pictures = list(pictures)
        self._opens = opens
        self._fixed = dict(fixed or {})
        self._absent = frozenset(absent)
        self.values: dict[int, float] = {}
        self.asked: list[tuple[int, float]] = []
        self.opened_with: tuple[Any, ...] = ()
        self.reading = threading.Event()
        self.may_read = threading.Event()
        self.may_read.set()
        self.released_while_reading = False
        self.releases_count = 0
        self._in_read = False

    def __call__(self, *arguments: Any) -> FakeVideoCapture:  # noqa: ANN401 - takes what OpenCV takes
        """Open, as ``cv2.VideoCapture(target, backend, parameters)`` does."""
        self.opened_with = arguments
        return self

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Whether it was opened and not released."""
        return self._opens

    def set(self, prop: int, value: float) -> bool:
        """Take a value, unless it is fixed or absent."""
        self.asked.append((prop, value))
        if prop in self._absent:
            return False
        if prop not in self._fixed:
            self.values[prop] = value
        return prop not in self._fixed

    def get(self, prop: int) -> float:
        """The value in force."""
        if prop in self._absent:
            return -1.0
        return float({**self.values, **self._fixed}.get(prop, 0.0))

    def read(self) -> tuple[bool, NDArray[np.uint8] | None]:
        """The next picture, as soon as ``may_read`` is set."""
        self._in_read = True
        self.reading.set()
        self.may_read.wait()
        self._in_read = False
        picture = self._pictures.pop(0) if len(self._pictures) > 1 else self._pictures[0]
        if isinstance(picture, Exception):
            raise picture
        return picture is not None, picture

    def release(self) -> None:
        """Count, and record what would have killed the process."""
        self.releases_count += 1
        self.released_while_reading |= self._in_read


def opencv_error(code: int = -2) -> cv2.error:
    """An error as OpenCV raises it from C++."""
    error = cv2.error("synthetic failure")
    error.code = code
    return error
