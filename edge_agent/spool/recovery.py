"""What is done with a spool's file that cannot be used: set aside, and read as far as it still goes."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.errors import MessageDamaged, SpoolError
from edge_agent.spool.offline import open_for_reading
from edge_agent.spool.rows import (
    Counters,
    DamagedRow,
    QuarantinedRow,
    Row,
    read_counters,
    read_quarantine,
    read_rows,
    readable_entries,
)


@dataclass(frozen=True, slots=True)
class QuarantinedFile:
    """A file that was set aside and replaced."""

    path: Path
    reason: str
    salvaged_count: int
    """Messages that could still be read and were taken over."""


@dataclass(frozen=True, slots=True)
class Salvage:
    """What a file that was set aside still holds."""

    rows: list[Row]
    quarantined: list[QuarantinedRow]
    state_entries: dict[str, bytes | None]
    counters: Counters


def quarantine_file(path: Path) -> Path:
    """Give the file and its log another name, which is returned. Raises ``OSError``."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    aside = path.with_name(f"{path.stem}.corrupt-{stamp}{path.suffix}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.stem}.corrupt-{stamp}-{number}{path.suffix}")
    path.replace(aside)
    log = path.with_name(path.name + "-wal")
    if log.exists():
        log.replace(aside.with_name(aside.name + "-wal"))
    # An index of the log, which SQLite writes again.
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    return aside


def salvage(path: Path) -> Salvage:
    """Read what can be read of a file that was set aside."""
    saved = Salvage([], [], {}, Counters())
    with contextlib.suppress(SpoolError), open_for_reading(path) as old:
        saved.quarantined.extend(read_quarantine(old))
        for row in sorted(read_rows(old), key=lambda row: row.number):
            if isinstance(row, DamagedRow):
                saved.quarantined.append((*row.values, MessageDamaged.code, row.reason))
            else:
                saved.rows.append(row)
        with contextlib.suppress(sqlite3.DatabaseError):
            saved.state_entries.update(readable_entries(old.execute("SELECT key, value FROM notes ORDER BY number")))
        with contextlib.suppress(sqlite3.DatabaseError):
            counters = read_counters(old)
            return Salvage(saved.rows, saved.quarantined, saved.state_entries, counters)
    return saved
