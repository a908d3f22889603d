"""Reads state entries, which may be damaged or written by another release."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from edge_agent.errors import StateEntryInvalid
from edge_agent.spool.base import MAX_REASON_CHARS, Spool

log = logging.getLogger(__name__)

QUARANTINE_PREFIX = "quarantined/"
QUARANTINED_MAX = 20
"""Number of quarantined entries; beyond it the oldest are deleted."""

T = TypeVar("T")


def _say_nothing_more(_error: StateEntryInvalid) -> None:
    pass


def read_state_entry(
    spool: Spool,
    key: str,
    parse: Callable[[bytes], T],
    *,
    on_invalid: Callable[[StateEntryInvalid], None] = _say_nothing_more,
) -> T | None:
    """Parse an entry with ``parse``; None if there is none, or it is invalid.

    ``parse`` is, for example, ``Model.model_validate_json``, and may raise anything. An entry that it refuses is
    quarantined: it gets the key ``quarantined/{key}``, so that it is not read again and nothing is lost. This is
    logged, and ``on_invalid`` is called once, for an event.
    """
    value = spool.state_entries(key).get(key)
    return None if value is None else _read(spool, key, value, parse, on_invalid)


def read_state_entries(
    spool: Spool,
    prefix: str,
    parse: Callable[[bytes], T],
    *,
    on_invalid: Callable[[StateEntryInvalid], None] = _say_nothing_more,
) -> dict[str, T]:
    """Parse the entries whose key begins with ``prefix``, in order; see ``read_state_entry``."""
    found = {}
    for key, value in spool.state_entries(prefix).items():
        parsed = _read(spool, key, value, parse, on_invalid)
        if parsed is not None:
            found[key] = parsed
    return found


def _read(
    spool: Spool, key: str, value: bytes, parse: Callable[[bytes], T], on_invalid: Callable[[StateEntryInvalid], None]
) -> T | None:
    try:
        return parse(value)
    except Exception as reason:  # noqa: BLE001 - the agent starts, whatever another release wrote
        cause = " ".join(str(reason).split()) or type(reason).__name__
        error = StateEntryInvalid(f"The state entry '{key}' cannot be read: {cause[:MAX_REASON_CHARS]}.")
    log.error("%s", error)
    aside = QUARANTINE_PREFIX + key
    # In the order in which they were first written.
    earlier = [each for each in spool.state_entries(QUARANTINE_PREFIX) if each != aside]
    oldest: dict[str, bytes | None] = dict.fromkeys(earlier[: max(0, len(earlier) + 1 - QUARANTINED_MAX)])
    spool.write_state_entries({**oldest, key: None, aside: value})
    on_invalid(error)
    return None
