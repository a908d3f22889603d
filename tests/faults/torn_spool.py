"""Records the spool's own writes and syncs with strace, and checks what a power cut between any two of them leaves.

The content of a file at its last sync is there after the cut. Later writes may be there, gone or torn, page by page, in
any order: the kernel writes pages when it likes, and so does a medium's cache. A file's name lasts once it has been
synced with its folder.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from edge_agent.errors import SpoolError
from edge_agent.spool.file import SpoolFile
from tests.system.forgetful import Fate, decide

PAGE_BYTES = 4096

_CALL = re.compile(
    r'^(?P<name>pwrite64|write|ftruncate|fdatasync|fsync)\((?P<number>\d+)<(?P<path>[^>]*)>(?:, "(?P<content>[^"]*)")?'
    r"(?P<numbers>[^)]*)\) = \d+$"
)


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that succeeded."""

    name: str
    file: str
    """Last part of the file's path."""
    content: bytes
    offset: int
    """Offset of a write, or the new size of a truncated file."""


@dataclass
class TornReport:
    """The findings of a number of cuts."""

    cuts_count: int = 0
    kept_count: int = 0
    """Unsynced page writes at a cut that lasted; the next two count those that were forgotten and torn."""
    forgotten_count: int = 0
    torn_count: int = 0
    messages_count: int = 0
    """Committed, undelivered messages at the cuts, added up."""
    lost_count: int = 0
    """How many of these messages were lost."""
    unlike_any_commit_count: int = 0
    """Cuts after which the spool matched neither the last commit nor the result of the transaction under way."""
    damaged_count: int = 0
    """Cuts after which the spool could not be opened."""

    @property
    def well(self) -> bool:
        """Whether every cut left what was committed."""
        return self.lost_count == self.unlike_any_commit_count == self.damaged_count == 0


class CutFile:
    """A file in its page cache, and the part of it that is on the disk."""

    def __init__(self) -> None:
        self._synced = b""
        self._newest = bytearray()
        self._pages: list[tuple[int, bytes]] = []

    def take(self, call: Call) -> None:
        """Apply a call as the kernel does."""
        match call.name:
            case "pwrite64":
                end = call.offset + len(call.content)
                self._newest.extend(bytes(max(0, end - len(self._newest))))
                self._newest[call.offset : end] = call.content
                for at in range(call.offset // PAGE_BYTES * PAGE_BYTES, end, PAGE_BYTES):
                    self._pages.append((at, bytes(self._newest[at : at + PAGE_BYTES])))
            case "ftruncate":
                del self._newest[call.offset :]
                self._newest.extend(bytes(call.offset - len(self._newest)))
            case _:
                self._synced = bytes(self._newest)
                self._pages.clear()

    def after_cut(self, rng: random.Random, report: TornReport) -> bytes:
        """The content that is found when the power is back."""
        found = bytearray(self._synced)
        for offset, page in self._pages:
            fate, lasting = decide(page, rng)
            report.kept_count += fate is Fate.KEPT
            report.forgotten_count += fate is Fate.FORGOTTEN
            report.torn_count += fate is Fate.TORN
            for at, piece in lasting:
                end = offset + at + len(piece)
                found.extend(bytes(max(0, end - len(found))))
                found[offset + at : end] = piece
        # A size that was not synced has reached the disk or not.
        return bytes(found[: rng.choice((len(found), len(self._newest)))])


def record(folder: Path) -> list[Call]:
    """Let a spool be written in this folder, and return its system calls. Raises ``CalledProcessError``."""
    log = folder / "calls"
    subprocess.run(
        [
            *("strace", "-y", "-xx", "-s", str(1 << 20), "-e", "trace=pwrite64,write,ftruncate,fdatasync,fsync"),
            *("-o", str(log), sys.executable, "-m", "tests.faults.spool_writes", str(folder)),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    with log.open() as lines:
        return list(_read_calls(lines))


def _read_calls(lines: Iterator[str]) -> Iterator[Call]:
    for line in lines:
        if (call := _CALL.match(line)) is not None:
            numbers = [int(number) for number in re.findall(r"\d+", call["numbers"])]
            yield Call(
                name=call["name"],
                file=Path(_unescape(call["path"]).decode()).name if call["number"] != "1" else "told",
                content=_unescape(call["content"] or ""),
                offset=numbers[-1] if numbers else 0,
            )


def _unescape(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def cut_everywhere(calls: list[Call], folder: Path, cuts_count: int, seed: int) -> TornReport:
    """Cut at ``cuts_count`` moments, and open what is left in ``folder``."""
    rng = random.Random(seed)
    told = [number for number, call in enumerate(calls) if call.file == "told"]
    moments = Counter(rng.randrange(told[0] + 1, told[-1] + 1) for _ in range(cuts_count))
    held = [frozenset(UUID(text) for text in calls[number].content.decode().split()) for number in told]
    files = {"spool.db": CutFile(), "spool.db-wal": CutFile()}
    report = TornReport()
    committed = -1
    for number, call in enumerate(calls):
        for _ in range(moments[number]):
            _cut(files, folder, rng, report, held[committed], held[committed + 1])
        if call.file == "told":
            committed += 1
        elif call.file in files:
            files[call.file].take(call)
    return report


def _cut(
    files: dict[str, CutFile],
    folder: Path,
    rng: random.Random,
    report: TornReport,
    before: frozenset[UUID],
    after: frozenset[UUID],
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, file in files.items():
        (folder / name).write_bytes(file.after_cut(rng, report))
    report.cuts_count += 1
    report.messages_count += len(before)
    found = _read(folder / "spool.db")
    if found is None:
        report.damaged_count += 1
        found = frozenset()
    # The transaction under way may have deleted delivered messages.
    report.lost_count += len((before & after) - found)
    report.unlike_any_commit_count += found not in {before, after}


def _read(path: Path) -> frozenset[UUID] | None:
    """Ids of the messages; None if the file cannot be opened."""
    try:
        file = SpoolFile(path)
    except SpoolError:
        return None
    found = set()
    after = 0
    while (row := file.next(after)) is not None:
        after = row.number
        # A damaged row contains no message.
        if (message := getattr(row, "message", None)) is not None:
            found.add(message.id)
    file.close()
    return frozenset(found)
