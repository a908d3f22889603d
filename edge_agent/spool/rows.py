"""The rows of a spool's file, and how they are read even if they are damaged."""

from __future__ import annotations

import logging
import math
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from edge_agent.spool.base import MAX_PAYLOAD_BYTES, Message

log = logging.getLogger(__name__)

COLUMNS = "number, length(payload), id, topic, payload, accepted_s"
"""The columns of ``messages`` that ``read_row`` needs."""

_ID_BYTES = 16
_TOPIC = re.compile(r"[^+#]{1,1000}")
"""A topic without the wildcards, which a publisher must not use."""

RawMessage = tuple[object, object, object, object]
"""Id, topic, payload and time of acceptance, unchecked."""

QuarantinedRow = tuple[object, object, object, object, str, str]
"""The same with code and reason."""


@dataclass(slots=True)
class Counters:
    """Counts that survive a restart."""

    accepted: int = 0
    acknowledged: int = 0
    refused: int = 0
    dropped: int = 0
    quarantined: int = 0
    clock_s: float = 0.0
    """Time during which the spool was open. Ages use it, because the wall clock of a device may jump by weeks."""


@dataclass(frozen=True, slots=True)
class Row:
    """A message in the file."""

    number: int
    message: Message
    accepted_s: float

    @property
    def size(self) -> int:
        """Bytes of the payload."""
        return len(self.message.payload)


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """A row of the table of messages that is not a valid message."""

    number: int
    size: int
    """The result of SQLite's ``length(payload)``."""
    topic: str
    """The topic, as far as it can be read."""
    reason: str
    values: RawMessage


def read_text(raw: bytes) -> str:
    """Text from a file that may be damaged: bytes that are not UTF-8 become lone surrogates."""
    return raw.decode(errors="surrogateescape")


def printable(value: object) -> str:
    """A value from a file as text that can be written anywhere."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else repr(value)


def storable(value: object) -> object:
    """A value from a file in a form that another file accepts: text that is not UTF-8 becomes a blob."""
    if isinstance(value, str) and not value.isascii():
        raw = value.encode(errors="surrogateescape")
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw
    return value


def read_row(values: tuple[int, int | None, object, object, object, object]) -> Row | DamagedRow:
    """The message in a row of ``COLUMNS``."""
    number, size, identity, topic, payload, accepted_s = values
    if not isinstance(identity, bytes) or len(identity) != _ID_BYTES:
        reason = "The id does not have 16 bytes."
    elif not isinstance(topic, str) or not _TOPIC.fullmatch(topic) or not topic.isprintable():
        reason = "The topic is not one that a message can be sent to."
    elif not isinstance(payload, bytes) or len(payload) > MAX_PAYLOAD_BYTES:
        reason = "The payload is not a blob of a size that a message can have."
    elif not isinstance(accepted_s, int | float) or not math.isfinite(accepted_s):
        reason = "The time of acceptance is not a number."
    else:
        return Row(number, Message(UUID(bytes=identity), topic, payload), accepted_s)
    return DamagedRow(number, size or 0, printable(topic), reason, (identity, topic, payload, accepted_s))


def readable_entries(rows: Iterable[tuple[object, object]]) -> dict[str, bytes]:
    """State entries by key.

    A value that is not a blob becomes one; an entry without a readable key is logged and left out.
    """
    found = {}
    for key, value in rows:
        if not isinstance(key, str) or not key.isprintable():
            log.error("a state entry of the spool has a damaged key and is ignored: %s", printable(key))
            continue
        found[key] = value if isinstance(value, bytes) else str(value).encode(errors="surrogateescape")
    return found


def read_rows(
    connection: sqlite3.Connection, on_damage: Callable[[sqlite3.DatabaseError], None] = lambda _error: None
) -> Iterator[Row | DamagedRow]:
    """All rows that can be read, each once: from the front as far as possible, then from the back.

    ``on_damage`` is called where reading has to stop.
    """
    seen: set[int] = set()
    for order in ("", " DESC"):
        try:
            for values in connection.execute(f"SELECT {COLUMNS} FROM messages ORDER BY number{order}"):  # noqa: S608 - constants
                if values[0] in seen:
                    break
                seen.add(values[0])
                yield read_row(values)
            else:
                if not order:
                    return
        except sqlite3.DatabaseError as error:
            on_damage(error)


def read_quarantine(
    connection: sqlite3.Connection, on_damage: Callable[[sqlite3.DatabaseError], None] = lambda _error: None
) -> Iterator[QuarantinedRow]:
    """All quarantined messages that can be read. A file of an older agent has no quarantine."""
    try:
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'quarantine'").fetchall():
            return
        yield from connection.execute(
            "SELECT id, topic, payload, accepted_s, CAST(code AS TEXT), CAST(reason AS TEXT) FROM quarantine "
            "ORDER BY number"
        )
    except sqlite3.DatabaseError as error:
        on_damage(error)


def read_counters(connection: sqlite3.Connection) -> Counters:
    """The counters as last committed; a value that is not a number counts as 0. Raises ``sqlite3.Error``."""
    values = dict(connection.execute("SELECT name, value FROM counters").fetchall())

    def number(name: str) -> float:
        value = values.get(name)
        return value if isinstance(value, int | float) and 0 <= value < 2**53 else 0

    return Counters(
        accepted=int(number("accepted")),
        acknowledged=int(number("acknowledged")),
        refused=int(number("refused")),
        dropped=int(number("dropped")),
        quarantined=int(number("quarantined")),
        clock_s=float(number("clock_s")),
    )
