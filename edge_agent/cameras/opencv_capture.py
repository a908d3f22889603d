"""Wraps ``cv2.VideoCapture`` with the agent's errors and a close that any thread may call."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.cameras.device_guard import DeviceGuard
from edge_agent.errors import CameraAbsent, CameraLost


class OpenCvCapture:
    """One capture. ``name`` is used in errors, so it must not contain a password."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._guard = DeviceGuard(name)
        self._capture: cv2.VideoCapture | None = None

    def open(self, target: str, backend: int, parameters: Mapping[int, int]) -> None:
        """Open ``target`` (a path or address). Raises ``CameraAbsent``."""
        with self._guard.use():
            flat = [number for pair in parameters.items() for number in pair]
            try:
                capture = cv2.VideoCapture(target, backend, flat)
                opened = capture.isOpened()
            except cv2.error as error:
                raise CameraAbsent(f"{self.name} cannot be opened: OpenCV error {error.code}.") from None
            if not opened:
                raise CameraAbsent(f"{self.name} cannot be opened.")
            self._capture = capture
            self._guard.hold(capture.release)

    def read(self) -> NDArray[np.uint8] | None:
        """The next picture, or None if the driver has none (end, time-out, unplugged).

        Raises ``CameraLost`` if OpenCV fails or the capture is closed.
        """
        with self._guard.use():
            try:
                success, image = self._opened().read()
            except cv2.error as error:
                raise CameraLost(f"{self.name} failed while reading: OpenCV error {error.code}.") from None
        return np.asarray(image, np.uint8) if success and image is not None else None

    def ask(self, prop: int, value: float) -> bool:
        """Set a property. False if the driver does not have it or refuses the value."""
        with self._guard.use():
            try:
                return bool(self._opened().set(prop, value))
            except cv2.error:
                return False

    def reported(self, prop: int) -> float | None:
        """The value that the driver reports; None if it does not, which OpenCV shows as -1."""
        with self._guard.use():
            try:
                value = self._opened().get(prop)
            except cv2.error:
                return None
        return value if value >= 0 else None

    def close(self) -> None:
        """Close, as soon as no other thread is in the driver."""
        self._guard.close()

    def _opened(self) -> cv2.VideoCapture:
        if self._capture is None:
            raise CameraLost(f"{self.name} is not open.")
        return self._capture
