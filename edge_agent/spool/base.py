"""The protocol of every spool, and the messages in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from edge_agent.errors import EdgeAgentError, MessageTooLarge

MAX_PAYLOAD_BYTES = 64 * 1024
"""Limit of a message; the broker's own limit (``deploy/mosquitto``) is higher."""

ESSENTIAL_RESERVE_BYTES = 1024 * 1024
"""Space beyond the limit, for messages that report drops."""

MAX_REASON_CHARS = 500
"""Length of the reason for a quarantine; the rest is cut off."""

StateEntries = Mapping[str, bytes | None]
"""Small values by key that are as durable as a message; None removes one."""


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
    """A message that is kept but not sent again."""

    id: UUID | None
    """None if even the id cannot be read."""
    topic: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class SpoolStats:
    """Counts. ``accepted == acknowledged + dropped + quarantined + waiting + in_flight``, always."""

    accepted_count: int
    acknowledged_count: int
    refused_count: int
    """Refused by ``append``; never accepted."""
    dropped_count: int
    """Accepted, and deleted without an acknowledgement: to make room, because of age, or by hand."""
    quarantined_count: int
    """Refused by the broker or damaged, and kept. One that is deleted to make room counts as dropped."""
    waiting_count: int
    in_flight_count: int
    stored_bytes: int
    """Size of the payloads that wait or are in flight; the quarantine has a limit of its own."""
    oldest_age_s: float | None
    """How long the oldest message has waited, counting only time when a spool was open; None if none waits."""
    commits_count: int
    """Durable writes since the spool was opened."""
    checkpoints_count: int


def max_quarantined_bytes(max_bytes: int) -> int:
    """Largest size of the quarantine's payloads, for a spool with this limit.

    A tenth, and always enough for one message: refused messages must not take the room of others. Beyond it the oldest
    are deleted, and count as dropped.
    """
    return max(max_bytes // 10, MAX_PAYLOAD_BYTES)


class Spool(Protocol):
    """Takes messages from several threads and gives them to another. An accepted message is delivered, or counted.

    Live messages, accepted since the last ``requeue_all``, and the backlog from before are taken separately,
    each in the order in which they were accepted.
    """

    @property
    def error(self) -> EdgeAgentError | None:
        """Why messages cannot be accepted at the moment; None if they can."""
        ...

    def append(self, message: Message, state_entries: StateEntries | None = None) -> None:
        """Add a message, with state entries that become durable in the same transaction.

        It is accepted once ``flush`` returns True.

        Raises ``SpoolFull`` or ``error``, and counts the message as refused, if it cannot be kept.
        """
        ...

    def write_state_entries(self, state_entries: StateEntries) -> None:
        """Keep state entries without a message."""
        ...

    def state_entries(self, prefix: str = "") -> dict[str, bytes]:
        """The kept state entries whose key begins with ``prefix``, in the order in which they were first written."""
        ...

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything appended and acknowledged so far is durable. False after the time-out."""
        ...

    def take(self, *, live: bool) -> Message | None:
        """Take the oldest waiting message, live or from the backlog, which is then in flight; None if none waits."""
        ...

    def acknowledge(self, message_id: UUID) -> None:
        """The broker has the message: delete it. The id of a message that is not in flight is ignored."""
        ...

    def quarantine(self, message_id: UUID, code: str, reason: str) -> None:
        """Keep a message in flight but do not send it again, because the broker refuses it or it is damaged.

        ``code`` is an error's code. The id of a message that is not in flight is ignored.
        """
        ...

    def pop_quarantined_messages(self) -> list[QuarantinedMessage]:
        """The messages that were quarantined since the last call."""
        ...

    def requeue_all(self) -> None:
        """Everything accepted, in flight or not, becomes backlog: the connection is new or lost."""
        ...

    def stats(self) -> SpoolStats:
        """Counts, consistent among themselves."""
        ...

    def close(self) -> None:
        """Make everything durable that can be, and close the files."""
        ...
