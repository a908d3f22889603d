"""A disk with a cache that forgets: unflushed writes may be gone, or half there, when the power is cut.

nbdkit loads this file into its own Python (``nbdkit python forgetful.py disk=FILE seed=1 report=FILE fuse=FILE``), so
only the standard library is available. The end of a connection is a power cut: QEMU has one connection for as long as
it runs. However, a cut at a random moment seldom meets a write that is not yet flushed. While the fuse's file exists,
the disk itself falls silent some requests later, with something in its cache: between a write and its flush, or in the
middle of several. The line in the report tells the observer to switch off and to remove the file.

Every write goes to the cache first, and a read sees it there. A flush writes the whole cache to the file. At the cut,
each write still in the cache is kept, forgotten or torn, independently of those before and after it, as on a medium
that writes its cache in any order. A torn write keeps some of its units and loses the others; a unit is 512 bytes or 4
KiB, and is itself never torn.
"""

from __future__ import annotations

import json
import os
import random
import time
from enum import StrEnum
from itertools import count
from pathlib import Path

API_VERSION = 2

SECTOR_BYTES = 512
UNITS_BYTES = (SECTOR_BYTES, 4096)
MAX_REQUESTS = 20
"""Most writes and flushes between the fuse and its cut; there are more only while the cache is empty."""


class Fate(StrEnum):
    """The fate of a write at the cut."""

    KEPT = "kept"
    FORGOTTEN = "forgotten"
    TORN = "torn"


class Cache:
    """The cache in front of a file. Offsets and lengths are whole sectors."""

    def __init__(self, path: Path, seed: int) -> None:
        """The n-th cut of a seed always has the same random draws. Raises ``OSError``."""
        self._file = os.open(path, os.O_RDWR)
        self._seed = seed
        self._cuts = count(1)
        self._moments = random.Random(f"{seed}/moments")
        self._requests_left: int | None = None
        self._flushes_count = 0
        self.is_cut = False
        """Whether the power is cut."""
        self._writes: list[tuple[int, bytes]] = []
        self._newest: dict[int, bytes] = {}
        """Sectors of the writes in the cache, by number."""

    @property
    def size_bytes(self) -> int:
        """Size of the disk."""
        return os.fstat(self._file).st_size

    def read(self, length: int, offset: int) -> bytes:
        """Read as last written, flushed or not."""
        found = bytearray(os.pread(self._file, length, offset))
        if self._newest:
            for at in range(0, length, SECTOR_BYTES):
                sector = self._newest.get((offset + at) // SECTOR_BYTES)
                if sector is not None:
                    found[at : at + SECTOR_BYTES] = sector
        return bytes(found)

    def write(self, content: bytes, offset: int) -> None:
        """Write to the cache only."""
        self._writes.append((offset, content))
        for at in range(0, len(content), SECTOR_BYTES):
            self._newest[(offset + at) // SECTOR_BYTES] = content[at : at + SECTOR_BYTES]

    def flush(self) -> None:
        """Make everything written so far safe, except against a power cut of this machine itself."""
        for offset, content in self._writes:
            os.pwrite(self._file, content, offset)
        self._empty()
        self._flushes_count += 1

    def burn(self) -> bool:
        """Whether the armed fuse cuts the power at this request: never while the cache is empty."""
        if self._requests_left is None:
            self._requests_left = self._moments.randint(1, MAX_REQUESTS)
        self._requests_left -= 1
        if self._requests_left > 0 or not self._writes:
            return False
        self._requests_left = None
        return True

    def cut(self) -> dict[str, int]:
        """Lose the cache; returns the number of writes in it and their fates, for the report."""
        number = next(self._cuts)
        rng = random.Random(f"{self._seed}/{number}")
        fates: dict[str, int] = dict.fromkeys(Fate, 0)
        for offset, content in self._writes:
            fate, lasting = decide(content, rng)
            fates[fate] += 1
            for at, unit in lasting:
                os.pwrite(self._file, unit, offset + at)
        report = {
            "seed": self._seed,
            "cut": number,
            "flushes": self._flushes_count,
            "unflushed": len(self._writes),
            **fates,
        }
        self._empty()
        self._flushes_count = 0
        self.is_cut = True
        return report

    def _empty(self) -> None:
        self._writes.clear()
        self._newest.clear()


def decide(content: bytes, rng: random.Random) -> tuple[Fate, list[tuple[int, bytes]]]:
    """The fate of an unflushed write, and the pieces of it that last, each with its place in the write."""
    unit_bytes = rng.choice(UNITS_BYTES)
    units = [(at, content[at : at + unit_bytes]) for at in range(0, len(content), unit_bytes)]
    fate = rng.choice(tuple(Fate) if len(units) > 1 else (Fate.KEPT, Fate.FORGOTTEN))
    match fate:
        case Fate.KEPT:
            return fate, units
        case Fate.FORGOTTEN:
            return fate, []
        case Fate.TORN:
            return fate, rng.sample(units, rng.randrange(1, len(units)))


_settings: dict[str, str] = {}
_caches: list[Cache] = []


def config(key: str, value: str) -> None:
    """nbdkit calls this with ``disk``, ``seed``, ``report`` and ``fuse`` of the command line."""
    _settings[key] = value


def after_fork() -> None:
    """nbdkit calls this before it serves."""
    _caches.append(Cache(Path(_settings["disk"]), int(_settings["seed"])))


def open(readonly: bool) -> Cache:  # noqa: A001 - nbdkit's name
    """nbdkit calls this when the machine is switched on. All connections share one disk."""
    _caches[0].is_cut = False
    return _caches[0]


def block_size(_cache: Cache) -> tuple[int, int, int]:
    """nbdkit asks for the smallest, the preferred and the largest request."""
    return SECTOR_BYTES, 4096, 32 * 1024 * 1024


def get_size(cache: Cache) -> int:
    """nbdkit asks for the size of the disk."""
    return cache.size_bytes


def can_write(_cache: Cache) -> bool:
    """nbdkit asks whether the disk can be written."""
    return True


def can_flush(_cache: Cache) -> bool:
    """nbdkit asks whether the disk can flush. It turns a forced write (FUA) into a write and a flush."""
    return True


def pread(cache: Cache, buffer: bytearray, offset: int, _flags: int) -> None:
    """nbdkit reads."""
    buffer[:] = cache.read(len(buffer), offset)


def pwrite(cache: Cache, buffer: bytes, offset: int, _flags: int) -> None:
    """nbdkit writes, and reuses the buffer afterwards."""
    _refuse_without_power(cache)
    cache.write(bytes(buffer), offset)
    _burn(cache)


def flush(cache: Cache, _flags: int) -> None:
    """nbdkit flushes."""
    _refuse_without_power(cache)
    _burn(cache)
    cache.flush()


def close(cache: Cache) -> None:
    """nbdkit calls this when the machine is switched off: the power is cut, unless the fuse has cut it."""
    if not cache.is_cut:
        _cut(cache)


def _burn(cache: Cache) -> None:
    fuse = Path(_settings["fuse"])
    if fuse.exists() and cache.burn():
        _cut(cache)
        # Without power there is no answer, not even that something failed.
        while fuse.exists():
            time.sleep(0.01)
        _refuse_without_power(cache)


def _refuse_without_power(cache: Cache) -> None:
    """Refuse requests that were still under way when the machine lost its power. Raises ``OSError``."""
    if cache.is_cut:
        raise OSError("the power is cut")


def _cut(cache: Cache) -> None:
    line = json.dumps(cache.cut())
    with Path(_settings["report"]).open("a") as report:
        report.write(f"{line}\n")
