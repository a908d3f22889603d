"""The kept frames on the disk: a picture and a record each, named by the reading's id."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from pydantic import ValidationError

from edge_agent.clock import clock_synchronised
from edge_agent.collection.kept_frame import FrameSummary, KeptFrame
from edge_agent.errors import CollectionError, CollectionFull, DiskFull, DiskLow, FrameNotKept

log = logging.getLogger(__name__)

MIN_FREE_BYTES = 256 * 2**20
"""Below this, the space is left to results, which matter more. The disk's health check warns a little later."""

_PICTURE, _RECORD, _UNFINISHED = ".jpg", ".json", ".new"
_JPEG_END = b"\xff\xd9"
_MAX_RECORD_BYTES = 1024 * 1024


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def check_space(folder: Path, needed_bytes: int, free_bytes_of: Callable[[Path], int] = _free_bytes) -> None:
    """Raise ``DiskLow`` if too little space would be left; ``OSError`` if that cannot be told."""
    free_bytes = free_bytes_of(folder)
    if free_bytes - needed_bytes < MIN_FREE_BYTES:
        raise DiskLow(
            f"{free_bytes / 2**20:.0f} MiB are free on the disk of the collection, which leaves "
            f"{MIN_FREE_BYTES / 2**20:.0f} MiB to results."
        )


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """Bounds of the collection."""

    max_bytes: int
    max_age: timedelta
    max_frames_count: int


class FrameStore:
    """The frames of one folder. Any thread may use it.

    A frame is there once its record is, which is written last. Frames are not flushed to the disk one by one, which
    would wear out a card: a power cut may take the last few, and ``open`` removes what is left of them.
    ``make_durable`` flushes what is labelled.
    """

    def __init__(
        self,
        folder: Path,
        limits: StoreLimits,
        *,
        labelled: Callable[[], Callable[[UUID], bool]] = lambda: lambda _id: False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock_is_right: Callable[[], bool] = lambda: clock_synchronised() is not False,
        free_bytes: Callable[[Path], int] = _free_bytes,
    ) -> None:
        """Nothing is read or written before ``open``.

        ``labelled`` returns what tells whether a frame is labelled, or is being labelled, now; it may raise
        ``CollectionError``.
        """
        self.folder = folder
        self._limits = limits
        self._labelled = labelled
        self._now = now
        self._clock_is_right = clock_is_right
        self._free_bytes = free_bytes
        self._lock = threading.RLock()
        self._frames: dict[UUID, FrameSummary] = {}
        self._sizes: dict[UUID, int] = {}
        self._durable: set[UUID] = set()
        self._size_bytes = 0
        self.removed_count = 0
        """Frames deleted to keep within the limits, since ``open``."""
        self.incomplete_count = 0
        """Frames that a kill or power cut left half-written, removed by ``open``."""
        self.unreadable_count = 0
        """Records that cannot be understood. They are left alone."""

    def open(self, *, make: bool = True) -> None:
        """Read what is there, and remove what was left half-written. Raises ``CollectionError`` or ``DiskFull``.

        Without ``make`` nothing is written or removed, so that a running agent is not disturbed.
        """
        with self._lock:
            self._frames.clear()
            self._sizes.clear()
            self._size_bytes = self.unreadable_count = 0
            try:
                if make:
                    self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                elif not self.folder.is_dir():
                    return
                names = dict(_files(self.folder))
            except OSError as error:
                raise _unusable(self.folder, error) from error
            for name, size_bytes in names.items():
                if make and name.startswith(".") and name.endswith(_UNFINISHED):
                    self._unlink(name)
                elif name.endswith(_RECORD) and (frame_id := _id_of(name)) is not None:
                    self._take(frame_id, names.get(f"{frame_id}{_PICTURE}"), size_bytes, remove=make)
            for name in names:
                frame_id = _id_of(name) if name.endswith(_PICTURE) else None
                if make and frame_id is not None and f"{frame_id}{_RECORD}" not in names:
                    self.incomplete_count += 1
                    self._unlink(name)
            # By age: ids of readings begin with their time.
            self._frames = dict(sorted(self._frames.items()))

    def _take(self, frame_id: UUID, picture_bytes: int | None, record_bytes: int, *, remove: bool) -> None:
        path = self.folder / f"{frame_id}{_RECORD}"
        try:
            content = path.read_bytes() if record_bytes <= _MAX_RECORD_BYTES else b"{}"
        except FileNotFoundError:
            # Another process has deleted it meanwhile.
            return
        except OSError as error:
            log.warning("%s cannot be read: %s", path.name, error.strerror)
            self.unreadable_count += 1
            return
        try:
            summary = FrameSummary.model_validate_json(content)
        except ValidationError:
            if content.strip(b"\0 \n").endswith(b"}"):
                # Another release's, or somebody's own: not ours to delete.
                self.unreadable_count += 1
                self._size_bytes += record_bytes + (picture_bytes or 0)
                return
            summary = None
        if summary is not None and summary.id == frame_id and self._picture_is_whole(summary, picture_bytes):
            self._enter(summary, record_bytes + summary.picture.size_bytes)
        elif remove and not self._labelled()(frame_id):
            self.incomplete_count += 1
            self._unlink(path.name)
            self._unlink(f"{frame_id}{_PICTURE}")
        else:
            self.unreadable_count += 1

    def _picture_is_whole(self, summary: FrameSummary, size_bytes: int | None) -> bool:
        if size_bytes != summary.picture.size_bytes:
            return False
        try:
            with (self.folder / f"{summary.id}{_PICTURE}").open("rb") as file:
                # Space that was reserved and never written is zero.
                file.seek(-len(_JPEG_END), os.SEEK_END)
                return file.read() == _JPEG_END
        except OSError:
            return False

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        with self._lock:
            return self._size_bytes

    def frames(self) -> tuple[FrameSummary, ...]:
        """All kept frames, the oldest first."""
        with self._lock:
            return tuple(self._frames.values())

    def find(self, frame_id: UUID) -> FrameSummary | None:
        """What is known of a frame; None if it is not kept."""
        with self._lock:
            return self._frames.get(frame_id)

    def confirm(self, frame_id: UUID) -> bool:
        """Whether a frame is kept and still on the disk: another process may have deleted it."""
        if self.find(frame_id) is None:
            return False
        if (self.folder / f"{frame_id}{_RECORD}").is_file():
            return True
        self._forget(frame_id)
        return False

    def add(self, record: KeptFrame, picture: bytes) -> None:
        """Keep a frame; older ones make room, but never labelled ones.

        Raises ``CollectionFull`` if only labelled frames are left, ``DiskFull``, ``DiskLow`` or ``CollectionError``.
        """
        content = record.to_json() + b"\n"
        frame_id = record.result.id
        size_bytes = len(content) + len(picture)
        with self._lock:
            if frame_id in self._frames:
                return
            self.remove_old()
            self._make_room(size_bytes)
            try:
                # Somebody may have deleted the folder since.
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                check_space(self.folder, size_bytes, self._free_bytes)
                try:
                    self._write(f"{frame_id}{_PICTURE}", picture)
                    self._write(f"{frame_id}{_RECORD}", content)
                except OSError:
                    self._unlink(f"{frame_id}{_PICTURE}")
                    raise
            except OSError as error:
                raise _unusable(self.folder, error) from error
            self._enter(FrameSummary.model_validate_json(content), size_bytes)

    def remove_old(self) -> None:
        """Delete what is older than allowed, labelled or not.

        Not while the clock is known to be wrong: it would delete everything.
        """
        with self._lock:
            if not self._clock_is_right():
                return
            before = self._now() - self._limits.max_age
            self._remove_counted([each.id for each in self._frames.values() if each.kept_at < before])

    def remove(self, ids: Iterable[UUID]) -> int:
        """Delete these frames; the number of those that were there. Raises ``CollectionError``."""
        count = 0
        with self._lock:
            for frame_id in ids:
                count += frame_id in self._frames
                self._forget(frame_id)
                for suffix in (_RECORD, _PICTURE):
                    try:
                        (self.folder / f"{frame_id}{suffix}").unlink(missing_ok=True)
                    except OSError as error:
                        raise _unusable(self.folder, error) from error
        return count

    def remove_all(self) -> int:
        """Delete every frame, also those whose records cannot be understood; their number.

        Raises ``CollectionError``.
        """
        with self._lock:
            count = self.remove(tuple(self._frames))
            try:
                names = [name for name, _ in _files(self.folder) if _id_of(name) and name.endswith((_RECORD, _PICTURE))]
                # A record first, as everywhere: without it there is no frame.
                for name in sorted(names, key=lambda each: not each.endswith(_RECORD)):
                    (self.folder / name).unlink(missing_ok=True)
                    count += name.endswith(_RECORD)
            except FileNotFoundError:
                # There is no folder.
                pass
            except OSError as error:
                raise _unusable(self.folder, error) from error
            self._size_bytes = self.unreadable_count = 0
        return count

    def picture(self, frame_id: UUID) -> bytes:
        """The JPEG. Raises ``FrameNotKept`` or ``CollectionError``."""
        return self._read(frame_id, _PICTURE)

    def record(self, frame_id: UUID) -> KeptFrame:
        """The whole record. Raises ``FrameNotKept`` or ``CollectionError``."""
        content = self._read(frame_id, _RECORD)
        try:
            return KeptFrame.model_validate_json(content)
        except ValidationError as error:
            raise CollectionError(
                f"The record of {frame_id} is damaged, or was written by another release.",
                remedy="Leave it, or delete the frame.",
            ) from error

    def make_durable(self, frame_id: UUID) -> None:
        """Flush a frame to the disk. Raises ``FrameNotKept`` or ``CollectionError``."""
        with self._lock:
            if frame_id in self._durable:
                return
            if frame_id not in self._frames:
                raise _not_kept(frame_id)
            try:
                for name in (f"{frame_id}{_PICTURE}", f"{frame_id}{_RECORD}", "."):
                    _sync(self.folder / name)
            except FileNotFoundError as error:
                self._forget(frame_id)
                raise _not_kept(frame_id) from error
            except OSError as error:
                raise _unusable(self.folder, error) from error
            self._durable.add(frame_id)

    def _read(self, frame_id: UUID, suffix: str) -> bytes:
        if self.find(frame_id) is None:
            raise _not_kept(frame_id)
        try:
            return (self.folder / f"{frame_id}{suffix}").read_bytes()
        except FileNotFoundError as error:
            # Deleted by a person, or by 'edge-agent collection delete'.
            self._forget(frame_id)
            raise _not_kept(frame_id) from error
        except OSError as error:
            raise _unusable(self.folder, error) from error

    def _enter(self, summary: FrameSummary, size_bytes: int) -> None:
        self._frames[summary.id] = summary
        self._sizes[summary.id] = size_bytes
        self._size_bytes += size_bytes

    def _forget(self, frame_id: UUID) -> None:
        with self._lock:
            self._frames.pop(frame_id, None)
            self._size_bytes -= self._sizes.pop(frame_id, 0)
            self._durable.discard(frame_id)

    def _make_room(self, needed_bytes: int) -> None:
        surplus_bytes = self.size_bytes + needed_bytes - self._limits.max_bytes
        surplus_count = len(self._frames) + 1 - self._limits.max_frames_count
        if surplus_bytes <= 0 and surplus_count <= 0:
            return
        going, is_labelled = [], self._labelled()
        for frame_id in self._frames:
            if surplus_bytes <= 0 and surplus_count <= 0:
                break
            if not is_labelled(frame_id):
                going.append(frame_id)
                surplus_bytes -= self._sizes[frame_id]
                surplus_count -= 1
        if surplus_bytes > 0 or surplus_count > 0:
            raise CollectionFull(
                f"The collection is full: {len(self._frames)} frames, {self.size_bytes / 2**20:.0f} MiB, and no "
                "unlabelled one whose place a new one could take."
            )
        self._remove_counted(going)

    def _remove_counted(self, ids: list[UUID]) -> None:
        self.removed_count += self.remove(ids)

    def _write(self, name: str, content: bytes) -> None:
        new = self.folder / f".{name}{_UNFINISHED}"
        try:
            with new.open("wb") as file:
                file.write(content)
            new.replace(self.folder / name)
        except OSError:
            self._unlink(new.name)
            raise

    def _unlink(self, name: str) -> None:
        with suppress(OSError):
            (self.folder / name).unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    """Name and size of each file. Raises ``OSError``."""
    with os.scandir(folder) as found:
        for each in found:
            try:
                size_bytes = each.stat().st_size if each.is_file() else None
            except FileNotFoundError:
                # A running agent has deleted it meanwhile, or given it its final name.
                continue
            if size_bytes is not None:
                yield each.name, size_bytes


def _id_of(name: str) -> UUID | None:
    """The id of a file that has the name of one of ours."""
    stem = name.partition(".")[0]
    try:
        found = UUID(stem)
    except ValueError:
        return None
    return found if str(found) == stem else None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_kept(frame_id: UUID) -> FrameNotKept:
    return FrameNotKept(f"The frame {frame_id} is not in the collection.")


def _unusable(folder: Path, error: OSError) -> CollectionError | DiskFull:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(f"The disk of {folder} is full.")
    return CollectionError(f"{folder} cannot be used: {error.strerror or error}.")
