from __future__ import annotations

import logging

import cv2
import numpy as np
import pytest

from edge_agent.cameras.settings import StreamSettings
from edge_agent.cameras.stream import StreamCamera
from edge_agent.errors import CameraAbsent, CameraLost
from edge_agent.testing.video_capture import FakeVideoCapture, opencv_error

SECRET_URL = "rtsp://nurse:sw0rdf%40sh@scope.example:8554/live?token=hush"


def stream(monkeypatch: pytest.MonkeyPatch, capture: FakeVideoCapture) -> StreamCamera:
    monkeypatch.setattr(cv2, "VideoCapture", capture)
    return StreamCamera(StreamSettings.model_validate({"kind": "stream", "url": SECRET_URL}))


def test_a_stream_is_opened_through_ffmpeg_with_both_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    capture = FakeVideoCapture([np.zeros((2, 2, 3), np.uint8)])
    camera = stream(monkeypatch, capture)
    camera.open()
    assert camera.live
    assert capture.opened_with == (
        SECRET_URL,
        cv2.CAP_FFMPEG,
        [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 4000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 4000],
    )


@pytest.mark.parametrize("pictures", [[None], [opencv_error()]], ids=["ends", "fails"])
def test_a_stream_that_stops_is_lost(monkeypatch: pytest.MonkeyPatch, pictures: list[Exception | None]) -> None:
    camera = stream(monkeypatch, FakeVideoCapture(pictures))
    camera.open()
    with pytest.raises(CameraLost):
        camera.read()


def test_a_stream_that_cannot_be_opened_says_what_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CameraAbsent, match=r"user and password in camera\.url"):
        stream(monkeypatch, FakeVideoCapture(opens=False)).open()


def test_passwords_are_in_no_source_error_or_repr(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said = []
    with caplog.at_level(logging.DEBUG):
        for capture in (
            FakeVideoCapture(opens=False),
            FakeVideoCapture([np.zeros((2, 2, 3), np.uint8), None]),
            FakeVideoCapture([opencv_error()]),
        ):
            camera = stream(monkeypatch, capture)
            said.append(repr(camera._settings))
            try:
                camera.open()
                said.append(str(camera.read().source))
                camera.read()
            except (CameraAbsent, CameraLost) as error:
                said += [str(error), repr(error)]
    text = "\n".join([*said, caplog.text])
    assert "rtsp://scope.example:8554" in text
    for secret in ("nurse", "sw0rdf", "hush", "live"):
        assert secret not in text
