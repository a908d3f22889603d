from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.cameras.frame import Pixels
from edge_agent.cameras.settings import StreamSettings, VideoSettings
from edge_agent.cameras.video import VideoCamera, redacted
from edge_agent.errors import CameraAbsent, CameraLost, EndOfFrames
from edge_agent.testing.video_capture import FakeVideoCapture, opencv_error

SECRET_URL = "rtsp://nurse:sw0rdf%40sh@scope.example:8554/live?token=hush#hush"


def write_video(path: Path, frames_count: int) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    assert writer.isOpened()
    for number in range(frames_count):
        writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    writer.release()


def video(path: Path) -> VideoCamera:
    return VideoCamera(VideoSettings(kind="video", path=path))


def stream(monkeypatch: pytest.MonkeyPatch, capture: FakeVideoCapture) -> VideoCamera:
    monkeypatch.setattr(cv2, "VideoCapture", capture)
    return VideoCamera(StreamSettings.model_validate({"kind": "stream", "url": SECRET_URL}))


def test_every_frame_of_a_file_comes_once_and_is_numbered(tmp_path: Path) -> None:
    path = tmp_path / "v.avi"
    write_video(path, 6)
    camera = video(path)
    assert not camera.live
    camera.open()
    for number in range(6):
        frame = camera.read()
        assert isinstance(frame.image, Pixels)
        assert frame.image.array.mean() == pytest.approx(20 * number, abs=3)
        assert frame.source == f"{path}#frame={number}"
        assert (frame.settings.width_px, frame.settings.height_px) == (64, 48)
    with pytest.raises(EndOfFrames):
        camera.read()
    camera.close()
    with pytest.raises(CameraLost):
        camera.read()


def test_a_missing_file_is_an_absent_camera(tmp_path: Path) -> None:
    with pytest.raises(CameraAbsent, match="There is no file"):
        video(tmp_path / "gone.mp4").open()


def test_a_file_that_is_no_video_says_so_and_ffmpeg_says_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(b"no video at all" * 100)
    with pytest.raises(CameraAbsent, match="not a readable video"):
        video(path).open()
    assert capfd.readouterr().err == ""


def test_a_file_cut_off_ends_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    capture = FakeVideoCapture([np.zeros((2, 2, 3), np.uint8), None], fixed={cv2.CAP_PROP_FRAME_COUNT: 9})
    path = tmp_path / "v.avi"
    path.touch()
    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(cv2, "VideoCapture", capture)
        camera = video(path)
        camera.open()
        camera.read()
        with pytest.raises(EndOfFrames):
            camera.read()
    assert "gave 1 frames of the 9" in caplog.text


def test_a_file_without_any_frame_is_not_a_quiet_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v.avi"
    path.touch()
    monkeypatch.setattr(cv2, "VideoCapture", FakeVideoCapture([None]))
    camera = video(path)
    camera.open()
    with pytest.raises(CameraLost, match="no frame that can be decoded"):
        camera.read()


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
    assert "scope.example:8554/live" in text
    for secret in ("nurse", "sw0rdf", "hush"):
        assert secret not in text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (SECRET_URL, "rtsp://scope.example:8554/live"),
        ("http://127.0.0.1:8080/a?pwd=1", "http://127.0.0.1:8080/a"),
        ("rtsp://a:b@c@[::1]:554/x", "rtsp://[::1]:554/x"),
    ],
)
def test_only_host_and_path_of_an_address_are_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown
