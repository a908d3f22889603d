"""A spool that is written while ``torn_spool`` watches from outside: ``python -m tests.faults.spool_writes FOLDER``.

Each line lists the spool's contents once they are committed, after the line before and before the next.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from uuid import UUID

from edge_agent.spool.base import Message
from edge_agent.spool.file import Change, SpoolFile
from edge_agent.spool.rows import Counters

TRANSACTIONS_COUNT = 80
MAX_PAYLOAD_BYTES = 16_000
MAX_WAITING = 30


def main(folder: Path) -> None:
    """Append and delete messages, and let the log be copied into the file now and then."""
    rng = random.Random(1)
    file = SpoolFile(folder / "spool.db")
    waiting: dict[int, UUID] = {}
    _tell(waiting)
    for _ in range(TRANSACTIONS_COUNT):
        messages = [
            Message(UUID(int=rng.getrandbits(128)), "topic", rng.randbytes(rng.randrange(MAX_PAYLOAD_BYTES)))
            for _ in range(rng.randrange(1, 4))
        ]
        removed = list(waiting)[: max(0, len(waiting) - rng.randrange(MAX_WAITING))]
        written = file.write(Change([(message, 0.0) for message in messages], removed), Counters())
        for number in removed:
            del waiting[number]
        waiting |= dict(zip(written.numbers, (message.id for message in messages), strict=True))
        _tell(waiting)
        file.checkpoint_if_due()
    # Closing would copy the log into the file once more; a power cut closes nothing.
    os._exit(0)


def _tell(waiting: dict[int, UUID]) -> None:
    os.write(1, " ".join(message.hex for message in waiting.values()).encode() + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
