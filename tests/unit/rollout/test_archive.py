"""Archives that are intact, and archives that were made to do harm."""

from __future__ import annotations

import io
import stat
import struct
import warnings
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipFile, ZipInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.errors import DiskFull, EdgeAgentError, ModelArchiveInvalid
from edge_agent.rollout.archive import MAX_FILES_COUNT, pack, unpack

FILES = {"manifest.json": b'{"a": 1}', "model.tflite": bytes(range(256)) * 8, "card.md": b"# A card\n"}
MAX_BYTES = 2**20


def zipped(files: dict[str, bytes], **changes: int) -> bytes:
    """An archive of these files; ``changes`` are attributes of every entry."""
    packed = io.BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = ZipInfo(name)
            info.compress_type = ZIP_DEFLATED
            for key, value in changes.items():
                setattr(info, key, value)
            archive.writestr(info, content)
    return packed.getvalue()


def opened(content: bytes, folder: Path) -> dict[str, bytes]:
    """The files that an archive unpacks to."""
    (folder / "model.zip").write_bytes(content)
    into = folder / "into"
    into.mkdir(exist_ok=True)
    unpack(folder / "model.zip", into, max_bytes=MAX_BYTES, on_size=lambda _bytes: None)
    return {path.name: path.read_bytes() for path in into.iterdir()}


def refused(content: bytes, folder: Path, words: str) -> None:
    """Check that an archive is refused, and that no file exists outside its folder."""
    # Deep enough to see files that climb out of it, with only these tests' files around.
    place = folder / "place"
    place.mkdir(exist_ok=True)
    with pytest.raises(ModelArchiveInvalid, match=words):
        opened(content, place)
    allowed = {place, place / "into", place / "model.zip", *(place / "into" / name for name in FILES)}
    assert set(folder.rglob("*")) <= allowed


def test_a_folder_comes_back_as_it_was(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    packed = pack(tmp_path, tuple(FILES))
    assert opened(packed, tmp_path) == FILES
    assert packed == pack(tmp_path, tuple(reversed(FILES))), "the same files give the same archive"


def test_an_archive_that_other_programs_made_is_read(tmp_path: Path) -> None:
    assert opened(zipped(FILES), tmp_path) == FILES


@pytest.mark.parametrize(
    "name",
    [
        "../outside.md",
        "..",
        "/etc/outside.md",
        "folder/outside.md",
        "..\\outside.md",
        "C:outside.md",
        ".hidden.md",
        "outside",
        "outside.so",
        "outside.py",
        "inner.zip",
        "a\n.md",
        "ä.md",
        "x" * 70 + ".md",
        "folder/",
        "",
    ],
)
def test_a_name_that_is_not_one_of_a_plain_file_here_is_refused(tmp_path: Path, name: str) -> None:
    refused(zipped({**FILES, name: b"x"}), tmp_path, "not allowed|not a plain|damaged|cannot be read")


def test_a_name_with_a_null_byte_is_refused(tmp_path: Path) -> None:
    content = zipped({**FILES, "a.md-.json": b"x"}).replace(b"a.md-.json", b"a.md\0.json")
    refused(content, tmp_path, "not allowed")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_only_plain_files_are_unpacked(tmp_path: Path, kind: int) -> None:
    refused(zipped(FILES, external_attr=(kind | 0o777) << 16), tmp_path, "not a plain file")


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        packed = io.BytesIO(zipped(FILES))
        with ZipFile(packed, "a") as archive:
            archive.writestr("card.md", b"another")
        refused(packed.getvalue(), tmp_path, "same name")
    refused(zipped({**FILES, "CARD.md": b"x"}), tmp_path, "same name")


def test_an_encrypted_file_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped(FILES))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    refused(bytes(content), tmp_path, "encrypted")


def test_another_compression_is_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with ZipFile(packed, "w", ZIP_LZMA) as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    refused(packed.getvalue(), tmp_path, "not allowed")


@pytest.mark.parametrize("files", [{}, {"card.md": b""}, {**FILES, "head.json": b"{}"}])
def test_an_archive_is_one_bundle_or_head(tmp_path: Path, files: dict[str, bytes]) -> None:
    refused(zipped(files), tmp_path, "not one bundle or head")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    refused(zipped({**FILES, "golden.npz": bytes(2**23)}), tmp_path, "would unpack to")
    assert not list((tmp_path / "place" / "into").iterdir())
    refused(zipped({**FILES, "golden.npz": bytes(2**24 + 1)}), tmp_path, "more than")
    refused(zipped({**FILES, "signature": bytes(2000)}), tmp_path, "more than")


def test_too_many_files_are_refused_before_the_table_of_contents_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = zipped({**FILES, **{f"a{number}.md": b"" for number in range(MAX_FILES_COUNT)}})
    monkeypatch.setattr("edge_agent.rollout.archive.ZipFile", pytest.fail)
    refused(many, tmp_path, "more than 32 files")


def test_an_archive_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_bytes(zipped(FILES))
    with pytest.raises(ModelArchiveInvalid, match="more than 100"):
        unpack(tmp_path / "model.zip", tmp_path, max_bytes=100, on_size=lambda _bytes: None)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip file" * 10, b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    refused(content, tmp_path, r".+")


def test_what_stands_before_or_after_an_archive_is_refused(tmp_path: Path) -> None:
    content = zipped(FILES)
    refused(b"#!/bin/sh\n" + content, tmp_path, "before its beginning")
    refused(content + b"more", tmp_path, "after its end|not a zip file")


def test_a_size_that_is_a_lie_is_noticed_while_unpacking(tmp_path: Path) -> None:
    for place, said in ((24, 4), (24, 2000)):
        content = bytearray(zipped({"manifest.json": b"{}", "card.md": bytes(range(256)) * 4}))
        start = content.rindex(b"PK\x01\x02") + place
        content[start : start + 4] = struct.pack("<L", said)
        refused(bytes(content), tmp_path, "damaged|shorter|longer")
        for path in (tmp_path / "place" / "into").iterdir():
            path.unlink()


def test_no_space_is_asked_for_first(tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_bytes(zipped(FILES))
    asked = []

    def refuse(size_bytes: int) -> None:
        asked.append(size_bytes)
        raise DiskFull("no space")

    with pytest.raises(DiskFull):
        unpack(tmp_path / "model.zip", tmp_path, max_bytes=MAX_BYTES, on_size=refuse)
    assert asked == [sum(map(len, FILES.values()))]
    assert not (tmp_path / "card.md").exists()


VALID = zipped(FILES)
STORED = io.BytesIO()
with ZipFile(STORED, "w", ZIP_STORED) as _archive:
    for _name, _content in FILES.items():
        _archive.writestr(_name, _content)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_archive_unpacks_to_what_it_held_or_is_one_error(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([VALID, STORED.getvalue()])))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["change", "cut", "insert"])):
            case "change":
                content[place] = data.draw(st.integers(0, 255))
            case "cut":
                del content[place : place + data.draw(st.integers(1, 64))]
            case "insert":
                content[place:place] = data.draw(st.binary(min_size=1, max_size=16))
        if not content:
            break
    into = tmp_path / "into"
    for path in into.glob("*"):
        path.unlink()
    try:
        found = opened(bytes(content), tmp_path)
    except EdgeAgentError:
        pass
    else:
        # The content, which a checksum covers, is right; names are not covered.
        assert set(found.values()) <= set(FILES.values())
    assert {path.name for path in tmp_path.iterdir()} == {"model.zip", "into"}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_any_bytes_are_one_error(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelArchiveInvalid):
        opened(content, tmp_path)
