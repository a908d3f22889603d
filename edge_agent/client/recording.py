"""Messages as JSON lines, as ``Client.recording`` and ``edge-agent spool export`` write them."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from edge_agent.client.messages import Fault, Message, Unreadable, parse
from edge_agent.errors import FileUnusable

log = logging.getLogger(__name__)

_TIME = TypeAdapter(datetime)
_TEXT = TypeAdapter(str)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A line of a recording."""

    content: Message | Unreadable
    received_at: datetime | None
    retained: bool


def to_line(topic: str, payload: bytes, received_at: datetime, *, retained: bool) -> str:
    """One line, with its end. A payload that is not JSON is kept as base64."""
    content: dict[str, Any] = {"topic": topic, "received_at": received_at.isoformat(), "retained": retained}
    try:
        return json.dumps({**content, "payload": json.loads(payload)}) + "\n"
    except (ValueError, RecursionError):
        return json.dumps({**content, "payload_base64": base64.b64encode(payload).decode()}) + "\n"


class Recorder:
    """Appends each line to a file at once, so that a killed program leaves everything that it had received."""

    def __init__(self, path: Path) -> None:
        """Raises ``FileUnusable`` if it cannot be opened."""
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise FileUnusable.from_os_error(error) from error
        self._error: OSError | None = None

    def write(self, topic: str, payload: bytes, received_at: datetime, *, retained: bool) -> None:
        """Write a line. After an error nothing more is written."""
        if self._error is not None:
            return
        try:
            self._file.write(to_line(topic, payload, received_at, retained=retained).encode("ascii"))
        except OSError as error:
            self._error = error
            log.error("nothing more is recorded: %s", error)  # noqa: TRY400 - a full disk needs no traceback

    def close(self) -> None:
        """Raises ``FileUnusable`` if something could not be written."""
        self._file.close()
        if self._error is not None:
            raise FileUnusable.from_os_error(self._error) from self._error


def read_recording(path: Path) -> Iterator[Recorded]:
    """Each line of a recording, in order; a line that cannot be read comes as ``Unreadable``.

    Raises ``FileUnusable`` if the file cannot be read.
    """
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _read_line(line, f"{path.name}, line {number}")
    except OSError as error:
        raise FileUnusable.from_os_error(error) from error


def _read_line(line: bytes, place: str) -> Recorded:
    try:
        content = from_json(line)
        topic, payload = _TEXT.validate_python(content["topic"]), content.get("payload")
        if "payload_base64" in content:
            data = base64.b64decode(content["payload_base64"], validate=True)
        elif isinstance(payload, str):
            data = payload.encode()
        else:
            data = json.dumps(payload).encode()
        received_at = None if content.get("received_at") is None else _TIME.validate_python(content["received_at"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, ValidationError) as error:
        fault = Unreadable(place, Fault.DAMAGED, f"it is no line of a recording: {error}", len(line))
        return Recorded(fault, None, retained=False)
    return Recorded(parse(topic, data), received_at, content.get("retained") is True)
