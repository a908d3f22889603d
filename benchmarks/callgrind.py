"""Counts the instructions of a piece of Python with valgrind's callgrind, independently of load and clock."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import re
from collections.abc import Callable
from pathlib import Path

_BASE = ord("C") << 24 | ord("T") << 16
_DUMP_STATISTICS_AT, _ZERO_STATISTICS, _START, _STOP = _BASE + 3, _BASE + 1, _BASE + 4, _BASE + 5

_CALL = bytes.fromhex(
    "4889f8"  # mov %rdi, %rax: the request and its arguments
    "4889f2"  # mov %rsi, %rdx: the answer without valgrind
    "48c1c703 48c1c70d 48c1c73d 48c1c733"  # rotates %rdi by 128 bits in all: nothing, but valgrind knows the sequence
    "4887db"  # xchg %rbx, %rbx: the request
    "4889d0"  # mov %rdx, %rax
    "c3"
)
"""valgrind.h's ``VALGRIND_DO_CLIENT_REQUEST_EXPR`` for x86-64, as a function of two arguments."""

_TOTAL = re.compile(r"^(?:summary|totals):\s*(\d+)", re.MULTILINE)


class Counter:
    """Counts the instructions of all threads in a process that ``command`` started."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is the one given to ``command``. Raises ``OSError`` if this kind of processor is not known."""
        if platform.machine() != "x86_64":
            raise OSError(f"requests to valgrind are written for x86_64, not for {platform.machine()}")
        self._folder = folder
        self._page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._page.write(_CALL)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._page))
        self._function = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t)(address)

    def count(self, call: Callable[[], object], *, times: int) -> int:
        """Instructions of one ``call``: the mean over ``times`` calls."""
        before = set(self._folder.iterdir())
        self._request(_START)
        self._request(_ZERO_STATISTICS)
        for _ in range(times):
            call()
        label = ctypes.c_char_p(b"counted")
        self._request(_DUMP_STATISTICS_AT, ctypes.cast(label, ctypes.c_void_p).value or 0)
        self._request(_STOP)
        # There may also be a dump of what follows; the first one counts.
        dumps = sorted(set(self._folder.iterdir()) - before, key=lambda path: path.stat().st_mtime_ns)
        found = _TOTAL.findall(dumps[0].read_text()) if dumps else []
        if not found:
            raise OSError("valgrind wrote no figures: is this process run by it?")
        return round(int(found[-1]) / times)

    def _request(self, code: int, argument: int = 0) -> None:
        words = (ctypes.c_size_t * 6)(code, argument)
        self._function(ctypes.addressof(words), 0)


def command(folder: Path) -> list[str]:
    """A prefix for a command in which a ``Counter`` works; ``folder`` is an empty folder for its figures."""
    return [
        "valgrind",
        "--tool=callgrind",
        "--instr-atstart=no",
        "--quiet",
        f"--callgrind-out-file={folder / 'callgrind'}",
    ]


def environment() -> dict[str, str]:
    """Environment variables that make counts repeatable."""
    return {**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
