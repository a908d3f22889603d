from __future__ import annotations

import io
import logging
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_agent.cameras.folder import FolderCamera
from edge_agent.cameras.frame import Encoded
from edge_agent.cameras.settings import FolderSettings
from edge_agent.errors import CameraAbsent, CameraLost, EndOfFrames, ImageError, ImageTooLarge


def opened(path: Path, **changes: Any) -> FolderCamera:
    camera = FolderCamera(FolderSettings(kind="folder", path=path, **changes))
    camera.open()
    return camera


class UnreadFile(io.FileIO):
    def read(self, size: int | None = -1) -> bytes:
        pytest.fail("the file was read")


def names(camera: FolderCamera) -> list[str]:
    found = []
    try:
        while True:
            found.append(Path(str(camera.read().source)).name)
    except EndOfFrames:
        return found


def test_images_come_by_name_from_all_folders_below_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("c.JPG", "a.png", "b/z.TIFF", "b/y.webp", "d.bmp", "notes.txt", "._a.png", "e.jpeg", "f.tif"):
        (tmp_path / name).write_bytes(name.encode())
    assert names(opened(tmp_path)) == ["a.png", "y.webp", "z.TIFF", "c.JPG", "d.bmp", "e.jpeg", "f.tif"]


def test_bytes_are_handed_on_untouched_with_the_path_as_source(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"whatever lies there")
    frame = opened(tmp_path, id="slides").read()
    assert isinstance(frame.image, Encoded)
    assert frame.image.data == b"whatever lies there"
    assert frame.source == str(path)
    assert frame.camera == "slides"
    assert frame.captured_at.tzinfo is not None


def test_one_file_is_read_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "export"
    path.write_bytes(b"x")
    assert names(opened(path)) == ["export"]


def test_a_file_that_vanishes_is_a_frame_with_an_error_that_names_it(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    camera = opened(tmp_path)
    (tmp_path / "a.png").unlink()
    frame = camera.read()
    assert isinstance(frame.image, ImageError)
    assert frame.image.code == "image_unreadable"
    assert str(tmp_path / "a.png") in str(frame.image)
    assert isinstance(camera.read().image, Encoded)


def test_a_file_without_permission_is_a_frame_with_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    camera = opened(tmp_path)

    # Root may read everything, so no mode of the file would do.
    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    image = camera.read().image
    assert isinstance(image, ImageError)
    assert "Permission denied" in str(image)


def test_a_folder_with_an_image_name_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(CameraAbsent, match="holds no image"):
        opened(tmp_path)


def test_a_file_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bytes(1024 * 1024 + 1))
    refused = opened(tmp_path, max_file_mib=1).read().image
    assert isinstance(refused, ImageTooLarge)
    assert str(path) in str(refused)
    assert "camera.max_file_mib" in str(refused)
    path.write_bytes(bytes(1024 * 1024))
    assert isinstance(opened(tmp_path, max_file_mib=1).read().image, Encoded)


def test_a_file_beyond_the_bound_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bytes(1024 * 1024 + 1))
    camera = opened(tmp_path, max_file_mib=1)
    monkeypatch.setattr(Path, "open", lambda self, mode: UnreadFile(self))
    assert isinstance(camera.read().image, ImageTooLarge)


def test_a_file_that_grows_beyond_the_bound_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(bytes(1024 * 1024 + 1))
    camera = opened(tmp_path, max_file_mib=1)
    monkeypatch.setattr(os, "fstat", lambda descriptor: SimpleNamespace(st_size=1))
    assert isinstance(camera.read().image, ImageTooLarge)


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_missing_or_empty_folder_is_an_absent_camera(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CameraAbsent, match=name):
        opened(tmp_path / name)


def test_loop_begins_again_and_sees_new_files(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(b"x")
    camera = opened(tmp_path, loop=True)
    first = camera.read().source
    (tmp_path / "a.png").write_bytes(b"x")
    assert [first, camera.read().source, camera.read().source, camera.read().source] == [
        str(tmp_path / name) for name in ("b.png", "a.png", "b.png", "a.png")
    ]


def test_a_folder_that_cannot_be_listed_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with caplog.at_level(logging.WARNING):
        assert names(opened(tmp_path)) == ["a.png"]
    assert "locked cannot be listed" in caplog.text


def test_a_closed_camera_gives_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    camera = opened(tmp_path)
    camera.close()
    with pytest.raises(CameraLost):
        camera.read()
