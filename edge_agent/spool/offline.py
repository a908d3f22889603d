"""Access to a spool from outside the agent: summarize it, or purge it while no agent uses it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from edge_agent.errors import SpoolCorrupt, SpoolNewer
from edge_agent.spool.file import Change, SpoolFile, is_corrupt
from edge_agent.spool.folder_lock import FolderLock
from edge_agent.spool.place import FILE, explain_unwritable
from edge_agent.spool.reading import explain_unreadable, open_for_reading
from edge_agent.spool.rows import read_counters, readable_entries

Figures = dict[str, int | float | list[str] | None]


def summarize(path: Path) -> Figures:
    """Figures of a spool's file by name: waiting messages, and counts of the others. Raises ``SpoolError``."""
    with open_for_reading(path) as connection:
        try:
            counters = read_counters(connection)
            waiting, size, oldest = connection.execute(
                "SELECT count(*), coalesce(sum(length(payload)), 0), min(accepted_s) FROM messages"
            ).fetchone()
        except sqlite3.Error as error:
            raise explain_unreadable(path, error) from error
    age_s = round(max(0.0, counters.clock_s - oldest), 1) if isinstance(oldest, int | float) else None
    return {
        "waiting_count": waiting,
        "stored_bytes": size,
        "oldest_age_s": age_s,
        "accepted_count": counters.accepted,
        "acknowledged_count": counters.acknowledged,
        "refused_count": counters.refused,
        "dropped_count": counters.dropped,
        "quarantined_count": counters.quarantined,
        "set_aside": sorted(
            each.name for pattern in ("spool.corrupt-*.db", "spool.newer-*.db") for each in path.parent.glob(pattern)
        ),
    }


def read_entries(path: Path, prefix: str = "") -> dict[str, bytes]:
    """The state entries in a spool's file, as ``Spool.state_entries`` gives them. Raises ``SpoolError``."""
    with open_for_reading(path) as connection:
        try:
            rows = connection.execute(
                "SELECT key, value FROM notes WHERE substr(key, 1, ?) = ? ORDER BY number", (len(prefix), prefix)
            ).fetchall()
        except sqlite3.Error as error:
            raise explain_unreadable(path, error) from error
    return readable_entries(rows)


def purge(folder: Path) -> int:
    """Delete all waiting messages of a spool that no agent uses, and count them as dropped; returns how many.

    Raises ``SpoolBusy``, ``SpoolError``, ``DiskFull``.
    """
    path = folder / FILE
    with open_for_reading(path):
        pass
    with FolderLock(folder), contextlib.closing(_open(path)) as file:
        try:
            numbers = [number for number, _, _ in file.oldest_first(in_flight=())]
            counters = file.counters()
            counters.dropped += len(numbers)
            file.write(Change(removed=numbers), counters)
        except sqlite3.Error as error:
            if is_corrupt(error):
                raise explain_unreadable(path, error) from error
            raise explain_unwritable(path, str(error)) from error
    return len(numbers)


def _open(path: Path) -> SpoolFile:
    try:
        return SpoolFile(path)
    except SpoolNewer as error:
        raise SpoolNewer(error.message, remedy="Use the release that wrote it.") from error
    except SpoolCorrupt as error:
        raise SpoolCorrupt(
            error.message, remedy="Start the agent: it renames a damaged file, and takes over what can be read."
        ) from error
