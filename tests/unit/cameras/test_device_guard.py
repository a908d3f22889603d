from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest

from edge_agent.cameras import opencv_capture
from edge_agent.cameras.device_guard import DeviceGuard
from edge_agent.errors import CameraLost
from edge_agent.testing.video_capture import FakeVideoCapture


def test_a_capture_closed_while_another_thread_reads_is_released_by_the_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = FakeVideoCapture([np.zeros((2, 2, 3), np.uint8)])
    monkeypatch.setattr(cv2, "VideoCapture", fake)
    capture = opencv_capture.OpenCvCapture("Camera")
    capture.open("x", 0, {})
    fake.may_read.clear()
    reader = threading.Thread(target=capture.read, daemon=True)
    reader.start()
    assert fake.reading.wait(20)
    capture.close()
    assert fake.releases_count == 0
    fake.may_read.set()
    reader.join(20)
    assert fake.releases_count == 1
    assert not fake.released_while_reading


def test_a_device_closed_while_it_opens_is_released_once_open() -> None:
    released: list[str] = []
    guard = DeviceGuard("Camera")
    with guard.use():
        guard.close()
        guard.hold(lambda: released.append("released"))
        assert released == []
    assert released == ["released"]


def test_a_closed_device_is_not_used_again() -> None:
    guard = DeviceGuard("Camera")
    guard.close()
    with pytest.raises(CameraLost, match="Camera was closed"), guard.use():
        pytest.fail("used")


def test_a_device_is_released_once_and_also_when_its_use_failed() -> None:
    released: list[str] = []
    guard = DeviceGuard("Camera")

    def fail() -> None:
        with guard.use():
            guard.hold(lambda: released.append("released"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    guard.close()
    guard.close()
    assert released == ["released"]
