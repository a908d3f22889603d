from __future__ import annotations

import contextlib
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.cameras.frame import Encoded, Frame, Pixels
from edge_agent.cameras.settings import VideoSettings
from edge_agent.cameras.video import VideoCamera, VideoPosition
from edge_agent.errors import CameraAbsent, CameraLost, EndOfFrames, ImageError
from edge_agent.testing.video_capture import FakeVideoCapture
from edge_agent.vision.decode import decode_image


def write_video(path: Path, frames_count: int, codec: str = "MJPG") -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10, (64, 48))
    assert writer.isOpened()
    for number in range(frames_count):
        writer.write(np.full((48, 64, 3), 20 * number % 256, np.uint8))
    writer.release()


def video(path: Path, position: VideoPosition | None = None) -> VideoCamera:
    return VideoCamera(VideoSettings(kind="video", path=path), position)


def level(frame: Frame) -> float:
    match frame.image:
        case Pixels(array=array):
            return float(array.mean())
        case Encoded(data=data):
            return float(decode_image(data).mean())
        case error:
            raise error


def opened(path: Path, position: VideoPosition | None = None) -> VideoCamera:
    camera = video(path, position)
    camera.open()
    return camera


def rest(camera: VideoCamera) -> list[Frame]:
    frames = []
    with contextlib.suppress(EndOfFrames):
        while True:
            frames.append(camera.read())
    return frames


KINDS = [
    ("v.avi", "MJPG"),
    ("v.mov", "MJPG"),
    ("v.mkv", "MJPG"),
    ("v.mp4", "mp4v"),
    ("v.avi", "XVID"),
    ("v.ts", "mp4v"),
]


@pytest.mark.parametrize(("name", "codec"), KINDS)
def test_every_frame_of_a_file_comes_once_and_is_numbered(tmp_path: Path, name: str, codec: str) -> None:
    path = tmp_path / name
    write_video(path, 6, codec)
    camera = video(path)
    assert not camera.live
    camera.open()
    for number in range(6):
        frame = camera.read()
        assert level(frame) == pytest.approx(20 * number, abs=4)
        assert frame.source == f"{name}#frame={number}"
        assert (frame.settings.width_px, frame.settings.height_px) == (64, 48)
    with pytest.raises(EndOfFrames):
        camera.read()
    camera.close()
    with pytest.raises(CameraLost):
        camera.read()


@pytest.mark.parametrize(("name", "codec"), KINDS)
def test_a_camera_opened_again_goes_on_after_the_last_frame_handed_over(tmp_path: Path, name: str, codec: str) -> None:
    path = tmp_path / name
    write_video(path, 6, codec)
    position = VideoPosition()
    first = opened(path, position)
    # The third is read, but nobody took it: it is returned again.
    assert [first.read().source for _ in range(3)][-1] == f"{name}#frame=2"
    first.close()
    frames = rest(opened(path, position))
    assert [frame.source for frame in frames] == [f"{name}#frame={number}" for number in range(2, 6)]
    assert [level(frame) for frame in frames] == [pytest.approx(20 * number, abs=4) for number in range(2, 6)]


def test_a_video_that_hangs_at_a_frame_again_and_again_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "v.avi"
    write_video(path, 3)
    position = VideoPosition()
    for _ in range(3):
        camera = opened(path, position)
        frame = camera.read()
    assert isinstance(frame.image, ImageError)
    assert "could not be read in time" in frame.image.message
    with pytest.raises(EndOfFrames):
        camera.read()


AWKWARD_NAMES = [
    b"slide-\xff\xfe.avi",
    b"-v.avi",
    b"http:--x.avi",
    b"concat:a|b.avi",
    b"frame%03d.avi",
    b"two\nlines.avi",
    "日本 \u202e.avi".encode(),
    b"n" * 250 + b".avi",
]


@pytest.mark.parametrize("name", AWKWARD_NAMES, ids=range(len(AWKWARD_NAMES)))
def test_a_file_of_any_name_is_read_and_named_in_printable_characters(tmp_path: Path, name: bytes) -> None:
    write_video(tmp_path / "v.avi", 2)
    path = tmp_path / os.fsdecode(name)
    (tmp_path / "v.avi").rename(path)
    frames = rest(opened(path))
    assert len(frames) == 2
    for frame in frames:
        assert frame.source is not None
        assert frame.source.isprintable()
        frame.source.encode()


def test_native_code_never_sees_a_files_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV dies of a name that is not UTF-8."""
    capture = FakeVideoCapture()
    monkeypatch.setattr(cv2, "VideoCapture", capture)
    path = tmp_path / os.fsdecode(b"slide-\xff.avi")
    path.touch()
    opened(path)
    assert capture.opened_with[0].startswith("/proc/self/fd/")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "v.avi"
    os.mkfifo(path)
    with pytest.raises(CameraAbsent, match="not a regular file"):
        opened(path)


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


@pytest.mark.parametrize("name", ["v.avi", "v.mkv", "v.ts"])
def test_a_file_cut_off_says_so_in_its_last_frame(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_video(path, 40, "MJPG" if name != "v.ts" else "mp4v")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    frames = rest(opened(path))
    assert 2 < len(frames) < 40
    images = [frame.image for frame in frames]
    if name == "v.ts":
        # Nothing in a transport stream says how long it should be.
        return
    assert isinstance(images[-1], ImageError)
    assert "of the 40 that it declares" in images[-1].message
    assert images[-1].code == "image_unreadable"


def test_a_whole_file_whose_length_is_but_an_estimate_is_not_called_cut_off(tmp_path: Path) -> None:
    capture = FakeVideoCapture([np.zeros((2, 2, 3), np.uint8)] * 99 + [None], fixed={cv2.CAP_PROP_FRAME_COUNT: 101})
    path = tmp_path / "v.webm"
    path.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cv2, "VideoCapture", capture)
        frames = rest(opened(path))
    assert len(frames) == 99


def test_a_file_without_any_frame_is_not_a_quiet_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v.avi"
    path.touch()
    monkeypatch.setattr(cv2, "VideoCapture", FakeVideoCapture([None]))
    camera = video(path)
    camera.open()
    with pytest.raises(CameraLost, match="no frame that can be decoded"):
        camera.read()
