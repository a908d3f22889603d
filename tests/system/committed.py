"""The messages that the agent commits, reported by the box itself while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self
from uuid import UUID

from tests.system.box import Box

# In write-ahead mode, another connection sees a transaction only once the file's sync has returned.
_PROGRAM = """\
import sqlite3, time, uuid
newest = 0
while True:
    try:
        spool = sqlite3.connect("file:/var/lib/leukoscope/spool.db?mode=ro", uri=True)
        while True:
            for newest, message in spool.execute("SELECT number, id FROM messages WHERE number > ?", (newest,)):
                print(uuid.UUID(bytes=message), flush=True)
            time.sleep(0.05)
    except sqlite3.Error:
        time.sleep(0.05)
"""


class CommittedMessages:
    """Ids of messages that another program in the box could read from the spool, and that reached the host.

    A message that is delivered and deleted within 50 ms may be missed, as may the last ones before a cut, on their way
    out.
    """

    def __init__(self, box: Box) -> None:
        self._ids: set[UUID] = set()
        self._changed = threading.Condition()
        self._program = box.follow(_PROGRAM)
        self._reader = threading.Thread(target=self._read, name="committed", daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._program.kill()
        self._program.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._program.stdout is not None
        with self._program.stdout as lines:
            for line in lines:
                # The last line may have been cut off too.
                if line.endswith("\n"):
                    with self._changed:
                        self._ids.add(UUID(line.strip()))
                        self._changed.notify_all()

    def wait(self, wanted: Callable[[frozenset[UUID]], bool], timeout_s: float) -> None:
        """Wait until the ids are as wanted. Raises ``AssertionError`` with their count if they never are."""
        with self._changed:
            done = self._changed.wait_for(lambda: wanted(frozenset(self._ids)), timeout_s)
            assert done, f"{len(self._ids)} messages were committed within {timeout_s:g} s"

    def ids(self) -> frozenset[UUID]:
        """The ids that have reached the host so far."""
        with self._changed:
            return frozenset(self._ids)
