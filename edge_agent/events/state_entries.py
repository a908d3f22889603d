"""State entries of the spool that another release wrote, or that are damaged, keep no part from starting."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from edge_agent.contracts import EventKind
from edge_agent.events.recorder import EventRecorder
from edge_agent.spool import Spool

log = logging.getLogger(__name__)

Value = TypeVar("Value")


def read_state_entries(
    spool: Spool, events: EventRecorder, prefix: str, parse: Callable[[str, bytes], Value]
) -> dict[str, Value]:
    """What ``parse`` makes of each key that begins with ``prefix``, in the order of the spool.

    Entries for which ``parse`` raises ``ValueError`` are removed, logged and recorded as one event.
    """
    found: dict[str, Value] = {}
    unreadable: dict[str, bytes | None] = {}
    for key, content in spool.state_entries(prefix).items():
        try:
            found[key] = parse(key, content)
        except ValueError as error:
            log.warning("the state entry '%s' cannot be read and is removed: %s", key, error)
            unreadable[key] = None
    if unreadable:
        events.record(
            EventKind.STATE_IGNORED,
            f"{len(unreadable)} state entries could not be read and were removed; they are damaged or were written by "
            "another release.",
            state_entries=unreadable,
            key=next(iter(unreadable)),
            entries_count=len(unreadable),
        )
        # An event that the spool has no room for takes the removal with it.
        spool.write_state_entries(unreadable)
    return found
