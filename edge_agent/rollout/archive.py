"""Packs and unpacks a bundle or head as one zip file.

Anybody can make an archive, so nothing in it is trusted: the number, names, kinds and sizes of its files are checked
before the first one is unpacked, and again during unpacking. It has only plain files, and no folders.
"""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from edge_agent.errors import ModelArchiveInvalid
from edge_agent.inference.bundle import MANIFEST
from edge_agent.inference.head import HEAD_MANIFEST
from edge_agent.inference.model_files import MAX_FOLDER_BYTES, MAX_MANIFEST_BYTES, max_bytes_of
from edge_agent.inference.signature import MAX_SIGNATURE_BYTES, SIGNATURE
from edge_agent.rollout.problems import explain

MAX_FILES_COUNT = 32
MAX_RATIO = 100
"""Largest ratio of unpacked to packed bytes. Weights and arrays hardly shrink, and text by less than 10."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,55}\.(json|npz|tflite|md|csv)|signature")
_END = struct.Struct("<4s4H2LH")
"""The end of central directory record of a zip file without a comment (APPNOTE 6.3.10, 4.3.16)."""
_LOCATOR_BYTES = 20
_MAX_DIRECTORY_BYTES = MAX_FILES_COUNT * 256
_CHUNK_BYTES = 2**18
_ENCRYPTED = 0x1


def pack(folder: Path, names: tuple[str, ...]) -> bytes:
    """The files ``names`` of ``folder`` as a zip file. The same files always give the same bytes.

    Raises ``OSError`` if one cannot be read, or ``ModelArchiveInvalid`` if ``unpack`` would refuse the archive.
    """
    packed = io.BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(names):
            info = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.compress_type = ZIP_DEFLATED
            archive.writestr(info, (folder / name).read_bytes())
    packed.seek(0)
    _check(packed, "The archive")
    return packed.getvalue()


def unpack(archive: Path, into: Path, *, max_bytes: int, on_size: Callable[[int], None]) -> None:
    """Unpack a zip file of at most ``max_bytes`` bytes into an empty folder, and wait for the disk.

    ``on_size`` is called first, with the number of unpacked bytes, and may raise. The content of the files is not
    verified here. Raises ``ModelArchiveInvalid``, ``DiskFull`` or ``ModelStoreError``; then the folder has some of the
    files.
    """
    try:
        file = archive.open("rb")
    except OSError as error:
        raise ModelArchiveInvalid(f"{archive} cannot be read: {error.strerror}.") from error
    with file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise ModelArchiveInvalid(f"{archive.name} has {size} bytes, more than {max_bytes}.")
        infos = _check(file, archive.name)
        on_size(sum(info.file_size for info in infos))
        try:
            with ZipFile(file) as opened:
                for info in infos:
                    _unpack(opened, info, into)
        except (BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error, ValueError) as error:
            raise ModelArchiveInvalid(f"{archive.name} is damaged: {error}.") from error


def _check(file: BinaryIO, name: str) -> list[ZipInfo]:
    """The entries of a zip file, all of which may be unpacked. Raises ``ModelArchiveInvalid``."""
    _check_end(file, name)
    try:
        with ZipFile(file) as opened:
            infos = opened.infolist()
    except (BadZipFile, NotImplementedError, ValueError, EOFError, struct.error, OSError) as error:
        raise ModelArchiveInvalid(f"{name} is not a zip file that can be read: {error}.") from error
    if len(infos) > MAX_FILES_COUNT:
        raise ModelArchiveInvalid(f"{name} has more than {MAX_FILES_COUNT} files.")
    names = {info.filename.casefold() for info in infos}
    if len(names) < len(infos):
        raise ModelArchiveInvalid(f"{name} has two files of the same name.")
    if len(names & {MANIFEST, HEAD_MANIFEST}) != 1:
        raise ModelArchiveInvalid(f"{name} has not one bundle or head: it needs {MANIFEST} or {HEAD_MANIFEST}.")
    for info in infos:
        _check_entry(info, name)
    unpacked, packed = sum(info.file_size for info in infos), sum(info.compress_size for info in infos)
    if unpacked > MAX_FOLDER_BYTES or unpacked > MAX_RATIO * packed:
        raise ModelArchiveInvalid(f"{name} would unpack to {unpacked} bytes from {packed}.")
    return infos


def _check_end(file: BinaryIO, name: str) -> None:
    """Check the length of the table of contents before it is read: it may have millions of entries."""
    size = file.seek(0, os.SEEK_END)
    tail_bytes = min(size, _END.size + _LOCATOR_BYTES)
    file.seek(size - tail_bytes)
    tail = file.read(tail_bytes)
    file.seek(0)
    if len(tail) < _END.size:
        raise ModelArchiveInvalid(f"{name} is not a zip file.")
    magic, disk, start_disk, entries_here, entries, directory_bytes, offset, comment = _END.unpack(tail[-_END.size :])
    if magic != b"PK\x05\x06" or comment != 0:
        raise ModelArchiveInvalid(f"{name} is not a zip file, or has something after its end.")
    if disk or start_disk or entries_here != entries or tail.startswith(b"PK\x06\x07"):
        raise ModelArchiveInvalid(f"{name} is a zip file of a kind that a bundle or head never needs.")
    if entries > MAX_FILES_COUNT or directory_bytes > _MAX_DIRECTORY_BYTES:
        raise ModelArchiveInvalid(f"{name} has more than {MAX_FILES_COUNT} files.")
    if offset + directory_bytes + _END.size != size:
        raise ModelArchiveInvalid(f"{name} has something before its beginning.")


def _check_entry(info: ZipInfo, name: str) -> None:
    mode = info.external_attr >> 16
    if not _NAME.fullmatch(info.filename) or info.filename != info.orig_filename:
        raise ModelArchiveInvalid(f"{name} has a file of the name {info.orig_filename[:80]!r}, which is not allowed.")
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG} or info.is_dir():
        raise ModelArchiveInvalid(f"{name}: {info.filename} is not a plain file.")
    if info.flag_bits & _ENCRYPTED:
        raise ModelArchiveInvalid(f"{name}: {info.filename} is encrypted.")
    if info.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
        raise ModelArchiveInvalid(f"{name}: {info.filename} is packed in a way that is not allowed.")
    if info.file_size > (limit := _max_bytes(info.filename)):
        raise ModelArchiveInvalid(f"{name}: {info.filename} has {info.file_size} bytes, more than {limit}.")


def _max_bytes(name: str) -> int:
    if name in {MANIFEST, HEAD_MANIFEST}:
        return MAX_MANIFEST_BYTES
    return MAX_SIGNATURE_BYTES if name == SIGNATURE else max_bytes_of(name)


def _unpack(archive: ZipFile, info: ZipInfo, into: Path) -> None:
    left_bytes = info.file_size
    path = into / info.filename
    # A damaged entry, unlike a full disk, is the archive's fault, so the two are kept apart.
    with archive.open(info) as packed:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise explain(path, error) from error
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            while chunk := packed.read(_CHUNK_BYTES):
                left_bytes -= len(chunk)
                if left_bytes < 0:
                    raise BadZipFile(f"{info.filename} is longer than the archive says")
                try:
                    file.write(chunk)
                except OSError as error:
                    raise explain(path, error) from error
            if left_bytes:
                raise BadZipFile(f"{info.filename} is shorter than the archive says")
            try:
                file.flush()
                os.fsync(descriptor)
            except OSError as error:
                raise explain(path, error) from error
