from __future__ import annotations

import builtins
import contextlib
import os
import socket
import stat
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image, TiffImagePlugin, TiffTags

from edge_agent.cameras.factory import camera_maker
from edge_agent.cameras.folder import FolderCamera, FolderPosition
from edge_agent.cameras.frame import Encoded, Frame
from edge_agent.cameras.settings import CapturePolicy, FolderSettings
from edge_agent.cameras.supervisor import CameraSupervisor
from edge_agent.errors import CameraAbsent, CameraLost, EndOfFrames, ImageError, ImageTooLarge


def opened(path: Path, position: FolderPosition | None = None, **changes: Any) -> FolderCamera:
    camera = FolderCamera(FolderSettings(kind="folder", path=path, **changes), position)
    camera.open()
    return camera


def rest(camera: FolderCamera) -> list[Frame]:
    frames = []
    with contextlib.suppress(EndOfFrames):
        while True:
            frames.append(camera.read())
    return frames


def names(camera: FolderCamera) -> list[str | None]:
    return [frame.source for frame in rest(camera)]


def problems(camera: FolderCamera) -> dict[str | None, str]:
    return {frame.source: str(frame.image) for frame in rest(camera) if isinstance(frame.image, ImageError)}


def test_images_come_by_name_from_all_folders_below_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in (
        "c.JPG",
        "a.png",
        "b/z.TIFF",
        "b/y.webp",
        "d.bmp",
        "notes.txt",
        "._a.png",
        "e.jpeg",
        "f.tif",
        "g.jfif",
        "h.JPE",
    ):
        (tmp_path / name).write_bytes(name.encode())
    assert names(opened(tmp_path)) == [
        "a.png",
        "b/y.webp",
        "b/z.TIFF",
        "c.JPG",
        "d.bmp",
        "e.jpeg",
        "f.tif",
        "g.jfif",
        "h.JPE",
    ]


def test_bytes_are_handed_on_untouched_with_the_name_as_source(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"whatever lies there")
    frame = opened(tmp_path, id="slides").read()
    assert isinstance(frame.image, Encoded)
    assert frame.image.data == b"whatever lies there"
    assert frame.source == "a.jpg"
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
    assert "a.png" in str(frame.image)
    assert str(tmp_path) not in str(frame.image)
    assert isinstance(camera.read().image, Encoded)


def test_a_file_without_permission_is_a_frame_with_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    camera = opened(tmp_path)

    # Root may read everything, so no file mode would do.
    def refuse(path: Path, flags: int) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    image = camera.read().image
    assert isinstance(image, ImageError)
    assert "Permission denied" in str(image)


def test_a_folder_with_an_image_name_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(CameraAbsent, match="contains no image"):
        opened(tmp_path)


def test_a_file_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bytes(1024 * 1024 + 1))
    refused = opened(tmp_path, max_file_mib=1).read().image
    assert isinstance(refused, ImageTooLarge)
    assert "a.png" in str(refused)
    assert "camera.max_file_mib" in str(refused)
    path.write_bytes(bytes(1024 * 1024))
    assert isinstance(opened(tmp_path, max_file_mib=1).read().image, Encoded)


def test_a_file_beyond_the_bound_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bytes(1024 * 1024 + 1))
    camera = opened(tmp_path, max_file_mib=1)
    monkeypatch.setattr(builtins, "open", lambda *_arguments, **_options: pytest.fail("the file was read"))
    assert isinstance(camera.read().image, ImageTooLarge)


def test_a_file_that_grows_beyond_the_bound_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(bytes(1024 * 1024 + 1))
    camera = opened(tmp_path, max_file_mib=1)
    monkeypatch.setattr(os, "fstat", lambda descriptor: SimpleNamespace(st_size=1, st_mode=stat.S_IFREG))
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
        "b.png",
        "a.png",
        "b.png",
        "a.png",
    ]


def test_a_folder_that_cannot_be_listed_is_a_frame_with_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    camera = opened(tmp_path)
    frames = {frame.source: frame.image for frame in rest(camera)}
    assert isinstance(frames["a.png"], Encoded)
    assert "locked cannot be listed: Permission denied" in str(frames["locked"])


def test_what_is_no_regular_file_is_named_and_never_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    os.mkfifo(tmp_path / "b.png")
    (tmp_path / "c.png").symlink_to("/dev/zero")
    (tmp_path / "d.png").symlink_to("gone.png")
    (tmp_path / "e.png").symlink_to("e.png")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "f.png"))
        found = problems(opened(tmp_path))
    assert set(found) == {"b.png", "c.png", "d.png", "e.png", "f.png"}
    assert "not a regular file" in found["b.png"] + found["c.png"] + found["f.png"]


@pytest.mark.parametrize("later", [True, False], ids=["put there later", "given by itself"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path, later: bool) -> None:
    path = tmp_path / "a.png"
    if later:
        path.write_bytes(b"x")
        camera = opened(tmp_path)
        path.unlink()
        os.mkfifo(path)
    else:
        os.mkfifo(path)
        camera = opened(path)
    image = camera.read().image
    assert isinstance(image, ImageError)
    assert "not a regular file" in image.message


def test_linked_folders_are_read_once_under_their_own_name_and_loops_end(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "far.png").write_bytes(b"x")
    root = tmp_path / "root"
    (root / "z").mkdir(parents=True)
    (root / "z" / "near.png").write_bytes(b"x")
    (root / "a-link").symlink_to(root / "z")
    (root / "b-loop").symlink_to(root)
    (root / "z" / "up").symlink_to("..")
    (root / "c-link").symlink_to(outside)
    (outside / "back").symlink_to(root)
    assert names(opened(root)) == ["c-link/far.png", "z/near.png"]


def test_pictures_of_other_kinds_and_videos_are_named(tmp_path: Path) -> None:
    for name in ("a.png", "b.HEIC", "c.gif", "d.svs", "e.mp4", "notes.txt", ".hidden.png"):
        (tmp_path / name).write_bytes(b"x")
    found = problems(opened(tmp_path))
    assert set(found) == {"b.HEIC", "c.gif", "d.svs", "e.mp4"}
    assert all("image_unsupported" in problem for problem in found.values())


def picture(level: int) -> Image.Image:
    return Image.new("RGB", (8, 8), (level, level, level))


def test_pictures_of_a_file_after_the_first_are_named(tmp_path: Path) -> None:
    more = [picture(20), picture(30)]
    picture(10).save(tmp_path / "stack.tif", save_all=True, append_images=more)
    picture(10).save(tmp_path / "animated.png", save_all=True, append_images=more)
    picture(10).save(tmp_path / "animated.webp", save_all=True, append_images=more, lossless=True)
    picture(10).save(tmp_path / "single.tif")
    picture(10).save(tmp_path / "single.png")
    picture(10).save(tmp_path / "single.webp")
    (tmp_path / "broken.tif").write_bytes(b"II*\0" + bytes(20))
    found = problems(opened(tmp_path))
    assert set(found) == {"stack.tif#page=2", "animated.png#page=2", "animated.webp#page=2"}
    assert all("holds 3 pictures; only the first one was read" in problem for problem in found.values())


def test_the_reduced_copies_in_a_tiff_are_no_pages(tmp_path: Path) -> None:
    small = picture(20)
    small.encoderinfo = {"tiffinfo": {254: 1}}
    picture(10).save(tmp_path / "pyramid.tif", save_all=True, append_images=[small])
    assert len(rest(opened(tmp_path))) == 1


def test_a_page_whose_kind_is_no_whole_number_does_not_end_the_folder(tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[254] = TiffTags.FLOAT
    tags[254] = float("inf")
    picture(10).save(tmp_path / "a.tif", tiffinfo=tags)
    picture(20).save(tmp_path / "b.png")
    assert names(opened(tmp_path)) == ["a.tif", "b.png"]


AWKWARD_NAMES = {
    b"slide-\xff\xfe.png": r"slide-\xff\xfe.png",
    b"slide[a].png": "slide[a].png",
    b"-x.png": "-x.png",
    b"two\nlines.png": r"two\nlines.png",
    b"red\x1b[31m.png": r"red\x1b[31m.png",
    "Ürün 日本.png".encode(): "Ürün 日本.png",
    "right \u202eto left.png".encode(): r"right \u202eto left.png",
    b"n" * 250 + b".png": "n" * 250 + ".png",
}


def test_names_of_any_bytes_are_read_and_shown_in_printable_characters(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"folder-\xfe")
    folder.mkdir()
    for name in AWKWARD_NAMES:
        (folder / os.fsdecode(name)).write_bytes(b"x")
    frames = rest(opened(tmp_path))
    assert all(isinstance(frame.image, Encoded) for frame in frames)
    assert {frame.source for frame in frames} == {rf"folder-\xfe/{shown}" for shown in AWKWARD_NAMES.values()}


def test_errors_show_a_folders_name_in_printable_characters(tmp_path: Path) -> None:
    with pytest.raises(CameraAbsent) as caught:
        opened(tmp_path / os.fsdecode(b"gone-\xfe\x1b[31m"))
    assert r"gone-\xfe\x1b[31m" in str(caught.value)
    str(caught.value).encode()


def test_a_camera_opened_again_goes_on_after_the_last_image_handed_over(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png", "d.png"):
        (tmp_path / name).write_bytes(b"x")
    position = FolderPosition()
    first = opened(tmp_path, position)
    # The third is read, but nobody took it: it is returned again.
    assert [first.read().source for _ in range(3)] == ["a.png", "b.png", "c.png"]
    first.close()
    assert names(opened(tmp_path, position)) == ["c.png", "d.png"]
    assert names(opened(tmp_path, position)) == ["a.png", "b.png", "c.png", "d.png"]


class SlowDisk:
    """Hangs while one file is read, until it is released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.released = threading.Event()
        self.tries_count = 0
        self._name = name
        self._open = os.open
        monkeypatch.setattr(os, "open", self)

    def __call__(self, path: Any, flags: int, *more: Any) -> int:
        if Path(path).name == self._name:
            self.tries_count += 1
            self.released.wait()
        return self._open(path, flags, *more)


def test_one_file_that_hangs_is_given_up_and_no_image_comes_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(b"x")
    disk = SlowDisk(monkeypatch, "b.png")
    policy = CapturePolicy(deadline_s=0.3, reopen_initial_s=0.01)
    make = camera_maker(FolderSettings(kind="folder", path=tmp_path))
    supervisor = CameraSupervisor(make, policy, threading.Event(), lambda _state: None)
    frames = list(supervisor.frames())
    disk.released.set()
    assert [frame.source for frame in frames] == ["a.png", "b.png", "c.png"]
    assert [type(frame.image) for frame in frames] == [Encoded, ImageError, Encoded]
    assert disk.tries_count == 2


def test_a_closed_camera_gives_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    camera = opened(tmp_path)
    camera.close()
    with pytest.raises(CameraLost):
        camera.read()
