"""A disk with a cache that forgets: what was not flushed may be gone, or half there, when the power is cut.

nbdkit loads this file into its own Python (``nbdkit python forgetful.py disk=FILE seed=1 report=FILE fuse=FILE``), so
that only the standard library is to be had here. The end of a connection is a power cut: QEMU has one for as long as
it runs. A cut at a random moment seldom meets a write that is not yet flushed, though. Where the fuse's file lies, the
disk itself falls silent some requests later, with something in its cache: between a write and its flush, or in the
middle of several. The line in the report tells whoever watches to switch off and to take the file away.

Every write is in the cache first, and a read sees it there. A flush takes all that is in the cache to the file. At the
cut each write still in the cache is kept, forgotten or torn, whatever became of those before and after it, as on a
medium that writes its cache in any order. A torn write keeps some of its units and loses the others; a unit is 512
bytes or 4 KiB, and is itself never torn.
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
"""Writes and flushes between the fuse and its cut, at most; more only while the cache is empty."""


class Fate(StrEnum):
    """What becomes of a write at the cut."""

    KEPT = "kept"
    FORGOTTEN = "forgotten"
    TORN = "torn"


class Cache:
    """The cache in front of a file. Offsets and lengths are whole sectors."""

    def __init__(self, path: Path, seed: int) -> None:
        """The n-th cut of a seed always draws the same; raises ``OSError``."""
        self._file = os.open(path, os.O_RDWR)
        self._seed = seed
        self._cuts = count(1)
        self._moments = random.Random(f"{seed}/moments")
        self._requests_left: int | None = None
        self._flushes_count = 0
        self.is_cut = False
        """Whether there is no power."""
        self._writes: list[tuple[int, bytes]] = []
        self._newest: dict[int, bytes] = {}
        """Sectors of the writes in the cache, by number."""

    @property
    def size_bytes(self) -> int:
        """Of the disk."""
        return os.fstat(self._file).st_size

    def read(self, length: int, offset: int) -> bytes:
        """As last written, flushed or not."""
        found = bytearray(os.pread(self._file, length, offset))
        if self._newest:
            for at in range(0, length, SECTOR_BYTES):
                sector = self._newest.get((offset + at) // SECTOR_BYTES)
                if sector is not None:
                    found[at : at + SECTOR_BYTES] = sector
        return bytes(found)

    def write(self, content: bytes, offset: int) -> None:
        """Into the cache alone."""
        self._writes.append((offset, content))
        for at in range(0, len(content), SECTOR_BYTES):
            self._newest[(offset + at) // SECTOR_BYTES] = content[at : at + SECTOR_BYTES]

    def flush(self) -> None:
        """Everything written so far is safe from now on. Against this machine's own power cut it is not."""
        for offset, content in self._writes:
            os.pwrite(self._file, content, offset)
        self._empty()
        self._flushes_count += 1

    def burn(self) -> bool:
        """Whether the fuse, which lies, cuts the power at this request: never while nothing is in the cache."""
        if self._requests_left is None:
            self._requests_left = self._moments.randint(1, MAX_REQUESTS)
        self._requests_left -= 1
        if self._requests_left > 0 or not self._writes:
            return False
        self._requests_left = None
        return True

    def cut(self) -> dict[str, int]:
        """Lose the cache; how many writes were in it and what became of them, for the report."""
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
    """What becomes of an unflushed write, and what lasts of it: pieces, each with its place in the write."""
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
    """nbdkit's: one of ``disk``, ``seed``, ``report`` and ``fuse`` of the command line."""
    _settings[key] = value


def after_fork() -> None:
    """nbdkit's: about to serve."""
    _caches.append(Cache(Path(_settings["disk"]), int(_settings["seed"])))


def open(readonly: bool) -> Cache:  # noqa: A001 - nbdkit's name
    """nbdkit's: the machine is switched on. All connections share one disk."""
    _caches[0].is_cut = False
    return _caches[0]


def block_size(_cache: Cache) -> tuple[int, int, int]:
    """nbdkit's: the smallest, the preferred and the largest request."""
    return SECTOR_BYTES, 4096, 32 * 1024 * 1024


def get_size(cache: Cache) -> int:
    """nbdkit's."""
    return cache.size_bytes


def can_write(_cache: Cache) -> bool:
    """nbdkit's."""
    return True


def can_flush(_cache: Cache) -> bool:
    """nbdkit's. A forced write (FUA) it makes of a write and a flush."""
    return True


def pread(cache: Cache, buffer: bytearray, offset: int, _flags: int) -> None:
    """nbdkit's."""
    buffer[:] = cache.read(len(buffer), offset)


def pwrite(cache: Cache, buffer: bytes, offset: int, _flags: int) -> None:
    """nbdkit's, which takes the buffer back afterwards."""
    _refuse_without_power(cache)
    cache.write(bytes(buffer), offset)
    _burn(cache)


def flush(cache: Cache, _flags: int) -> None:
    """nbdkit's."""
    _refuse_without_power(cache)
    _burn(cache)
    cache.flush()


def close(cache: Cache) -> None:
    """nbdkit's: the power is cut, if it was not by the fuse."""
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
    """What the machine asked for before it was switched off may still be under way. Raises ``OSError``."""
    if cache.is_cut:
        raise OSError("the power is cut")


def _cut(cache: Cache) -> None:
    line = json.dumps(cache.cut())
    with Path(_settings["report"]).open("a") as report:
        report.write(f"{line}\n")
