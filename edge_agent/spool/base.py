"""What every spool promises, and what goes through it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from edge_agent.errors import EdgeAgentError, MessageTooLarge

MAX_PAYLOAD_BYTES = 64 * 1024
"""No message is larger; the broker's own limit (``deploy/mosquitto``) is above it."""

ESSENTIAL_RESERVE_BYTES = 1024 * 1024
"""Beyond the bound, for messages that report drops."""

MAX_REASON_CHARS = 500
"""Of why a message was quarantined; the rest is cut off."""

StateEntries = Mapping[str, bytes | None]
"""Small values by key that are to be as durable as a message; None removes one."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message on its way to the broker."""

    id: UUID
    topic: str
    payload: bytes = field(repr=False)
    essential: bool = False
    """Whether it may use the reserve: it reports something that must be known when the spool is full."""

    def __post_init__(self) -> None:
        if len(self.payload) > MAX_PAYLOAD_BYTES:
            raise MessageTooLarge(f"A message for {self.topic} has {len(self.payload)} bytes.")


@dataclass(frozen=True, slots=True)
class QuarantinedMessage:
    """A message that is kept but never sent again by itself."""

    id: UUID | None
    """None where even the id cannot be read."""
    topic: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class SpoolStats:
    """Counts. ``accepted == acknowledged + dropped + quarantined + waiting + in_flight``, always."""

    accepted_count: int
    acknowledged_count: int
    refused_count: int
    """Turned away by ``append``; never accepted."""
    dropped_count: int
    """Accepted, and deleted without an acknowledgement: for room, for age, or by hand."""
    quarantined_count: int
    """Refused by the broker or damaged, and kept. One that leaves the quarantine for room counts as dropped."""
    waiting_count: int
    in_flight_count: int
    stored_bytes: int
    """Payloads that wait or are in flight; what is quarantined has a bound of its own."""
    oldest_age_s: float | None
    """How long the oldest message has waited, in time during which a spool was open; None if none waits."""
    commits_count: int
    """Durable writes since the spool was opened."""
    checkpoints_count: int


def max_quarantined_bytes(max_bytes: int) -> int:
    """Payload bytes that the quarantine of a spool with this bound holds, beside those that wait.

    A tenth, and always enough for one message: what a broker refuses must not take the room of what it accepts. Beyond
    it the oldest go, and count as dropped.
    """
    return max(max_bytes // 10, MAX_PAYLOAD_BYTES)


class Spool(Protocol):
    """Takes messages from some threads and gives them to another. What was accepted is delivered or counted as dropped.

    Live messages, accepted since the last ``requeue_all``, and the backlog from before are taken separately,
    each in the order in which they were accepted.
    """

    @property
    def error(self) -> EdgeAgentError | None:
        """Why messages cannot be accepted at the moment; None if all is well."""
        ...

    def append(self, message: Message, state_entries: StateEntries | None = None) -> None:
        """Take a message, with state entries that become durable at the same moment. Accepted once ``flush`` says so.

        Raises ``SpoolFull``, or what ``error`` is, and counts the message as refused, if it cannot be kept.
        """
        ...

    def write_state_entries(self, state_entries: StateEntries) -> None:
        """Keep state entries without a message."""
        ...

    def state_entries(self, prefix: str = "") -> dict[str, bytes]:
        """The kept state entries whose key begins with ``prefix``, in the order in which they were first written."""
        ...

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was appended, noted and acknowledged so far is durable. False if it is not in time."""
        ...

    def take(self, *, live: bool) -> Message | None:
        """The oldest waiting live message or message of the backlog, from now on in flight; None if none waits."""
        ...

    def acknowledge(self, message_id: UUID) -> None:
        """The broker has it: forget it. The id of a message that is not in flight is ignored."""
        ...

    def quarantine(self, message_id: UUID, code: str, reason: str) -> None:
        """Keep a message in flight, but never send it again by itself: the broker refuses it, or it is damaged.

        ``code`` is an error's code. The id of a message that is not in flight is ignored.
        """
        ...

    def pop_quarantined_messages(self) -> list[QuarantinedMessage]:
        """The messages that were quarantined since this was last asked."""
        ...

    def requeue_all(self) -> None:
        """All that was accepted, in flight or not, waits as backlog: the connection is new, or gone."""
        ...

    def stats(self) -> SpoolStats:
        """Counts, consistent among themselves."""
        ...

    def close(self) -> None:
        """Make all durable that can be, and let go of the files."""
        ...
