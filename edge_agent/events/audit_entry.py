"""One line of the audit log.

A line is a SHA-256 in hex, a space, and a JSON object. The hash covers the hash of the line before, a space, and this
line's JSON; the first line of all follows sixty-four zeros. The JSON has the entry's number as ``seq``. In the first
line of each file it also has the hash before it as ``previous``, so that a file can be checked by itself. Logs of
release 0.1 have neither.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from pydantic_core import from_json, to_json

BEGINNING = "0" * 64
"""The hash that the first line of all follows."""

MAX_LINE_BYTES = 128 * 1024
"""Size with the newline. An event is at most as large as a message, which is half of this."""

_LINE = re.compile(rb"([0-9a-f]{64}) (\{.*\})", re.DOTALL)
_TORN = re.compile(rb"[0-9a-f]{0,64}|[0-9a-f]{64} (\{.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A parsed line."""

    sha256: str
    record: bytes
    """The JSON, unchanged from the line."""
    values: Mapping[str, object]
    """The JSON's keys and values."""
    seq: int | None
    """The number in the line; None in a log of release 0.1."""
    previous: str | None
    """The hash that the line says it follows; only in the first line of a file."""

    @classmethod
    def make(cls, seq: int, before: str, values: Mapping[str, object], *, first_of_file: bool) -> Self:
        """Create the entry number ``seq``, which follows the hash ``before``."""
        previous = before if first_of_file else None
        added = {"seq": seq} if previous is None else {"seq": seq, "previous": previous}
        record = to_json({**added, **values})
        return cls(chain(before, record), record, values, seq, previous)

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """Parse a line without its newline. Raises ``ValueError``; the hash is not checked."""
        found = _LINE.fullmatch(line)
        if found is None or len(line) >= MAX_LINE_BYTES:
            raise ValueError("not a line of an audit log")
        values = from_json(found[2])
        seq, previous = values.get("seq"), values.get("previous")
        if seq is not None and (type(seq) is not int or seq < 0):
            raise ValueError("seq is not a number")
        if previous is not None and not isinstance(previous, str):
            raise ValueError("previous is not a hash")
        return cls(found[1].decode(), found[2], values, seq, previous)

    @property
    def line(self) -> bytes:
        """The line with its newline."""
        return b"%s %s\n" % (self.sha256.encode(), self.record)

    def follows(self, before: str) -> bool:
        """Whether the hash is right for a line after one whose hash is ``before``."""
        return self.sha256 == chain(before, self.record)


def chain(before: str, record: bytes) -> str:
    """The hash of a line, in hex."""
    return hashlib.sha256(f"{before} ".encode() + record).hexdigest()


def is_torn_line(rest: bytes) -> bool:
    """Whether ``rest``, without a newline, looks like the result of a power cut: the beginning of a line, or zeros."""
    return len(rest) < MAX_LINE_BYTES and _TORN.fullmatch(rest.rstrip(b"\0")) is not None
