"""The flow of spooled messages: the order in which they are sent, and the handling of each answer."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, replace
from uuid import UUID

from pydantic_core import from_json, to_json

from edge_agent.errors import BrokerRefused, MessageDamaged
from edge_agent.mqtt.backoff import pause_s
from edge_agent.mqtt.outgoing import Outgoing
from edge_agent.mqtt.reasons import Refusal, refusal_of
from edge_agent.spool.base import Message, Spool

log = logging.getLogger(__name__)

TRIES_MAX = 10
"""A message that the broker defers this often while it accepts others is quarantined; with growing pauses that takes
more than five minutes."""

RETRY_MAX_S = 60.0
DEFERRED_MAX = 200
"""Messages that wait for another attempt are kept in memory; with this many, no more are taken from the spool."""


@dataclass(frozen=True, slots=True)
class _Sent:
    item: Outgoing
    acknowledged_count: int
    """Number of spooled messages sent before this one."""


@dataclass(frozen=True, slots=True)
class _Deferred:
    item: Outgoing
    due_at: float
    unproven: bool
    """Whether the broker had accepted nothing yet when it refused this."""


class SpoolFlow:
    """Sends live messages first, and beside them the backlog at a limited rate, marked ``replayed``.

    A message leaves the spool when the broker has acknowledged it and, if there is a time to settle, the connection has
    lasted for that time since. It is quarantined if it is damaged, too large for the broker, or refused for good. A
    refusal counts only if the broker has accepted something else over the same connection. A broker that accepts
    nothing at all refuses the device, not the message: then everything waits.
    """

    def __init__(
        self, spool: Spool, replay_rate_hz: float, max_in_flight: int, retry_max_s: float, settle_s: float = 0.0
    ) -> None:
        """``retry_max_s`` is the longest pause before the next attempt at a broker that refuses everything.

        ``settle_s`` is the time that a broker may take to save an acknowledged message. If the connection is lost
        within that time, the message is sent again.
        """
        self._spool = spool
        self._replay_interval_s = 1 / replay_rate_hz
        self._max_in_flight = max_in_flight
        self._retry_max_s = retry_max_s
        self._settle_s = settle_s
        self._settling: deque[tuple[float, UUID]] = deque()
        """Acknowledged messages, each with the time at which it leaves the spool; oldest first."""
        self._sent: dict[UUID, _Sent] = {}
        self._deferred: list[_Deferred] = []
        self._tries: dict[UUID, int] = {}
        self._put_offs: dict[UUID, int] = {}
        self._refusals = 0
        self._backlog_waits = False
        self._replay_at = 0.0
        self._acknowledged_count = 0
        self._reported: set[tuple[str, str]] = set()

    @property
    def delivered(self) -> bool:
        """Whether the broker has acknowledged a message over this connection."""
        return self._acknowledged_count > 0

    @property
    def refused_entirely(self) -> bool:
        """Whether the broker has refused messages and accepted nothing over this connection."""
        return any(deferred.unproven for deferred in self._deferred)

    @property
    def defers(self) -> bool:
        """Whether messages wait for another attempt."""
        return bool(self._deferred)

    @property
    def idle(self) -> bool:
        """Whether no spooled message is in flight or scheduled. A settling message is neither."""
        return not self._sent and not self._deferred and not self._backlog_waits

    def begin(self) -> None:
        """There is a new connection: everything not acknowledged becomes backlog."""
        self.end()
        self._acknowledged_count = 0
        self._reported.clear()
        self._backlog_waits, self._replay_at = True, 0.0

    def end(self) -> None:
        """The connection was lost."""
        self._sent.clear()
        self._deferred.clear()
        self._settling.clear()
        self._refusals = 0
        self._backlog_waits = False
        self._spool.requeue_all()

    @property
    def settles_at(self) -> float | None:
        """``time.monotonic()`` at which ``settle`` may have something to delete."""
        return self._settling[0][0] if self._settling else None

    def due_at(self) -> float | None:
        """``time.monotonic()`` at which ``next`` may return something new."""
        if len(self._sent) >= self._max_in_flight:
            return None
        moments = [deferred.due_at for deferred in self._deferred]
        if self._backlog_waits and not self._is_blocked():
            moments.append(self._replay_at)
        return min(moments, default=None)

    def next(self, now: float) -> Outgoing | None:
        """The next message to send, which then counts as sent. None if there is none, or enough are in flight."""
        if len(self._sent) >= self._max_in_flight:
            return None
        item = None
        if not self._is_blocked():
            message = self._spool.take(live=True)
            item = None if message is None else Outgoing(message.id, message.topic, message.payload)
        item = item or self._take_deferred(now)
        if item is None and not self._is_blocked():
            item = self._take_backlog(now)
        if item is not None:
            self._sent[_id_of(item)] = _Sent(item, self._acknowledged_count)
        return item

    def acknowledged(self, key: Hashable, now: float) -> None:
        """The broker has accepted a message."""
        if isinstance(key, UUID):
            self._forget(key)
            self._acknowledged_count += 1
            if self._settle_s > 0:
                self._settling.append((now + self._settle_s, key))
            else:
                self._spool.acknowledge(key)

    def settle(self, now: float) -> None:
        """Delete from the spool the messages acknowledged long enough ago; with ``now`` at infinity, all of them."""
        while self._settling and self._settling[0][0] <= now:
            self._spool.acknowledge(self._settling.popleft()[1])

    def retry_unproven(self) -> None:
        """The broker has accepted something from this device: send again the messages that it refused before."""
        if self.refused_entirely:
            self._refusals = 0
            self._deferred = [
                replace(deferred, due_at=0.0, unproven=False) if deferred.unproven else deferred
                for deferred in self._deferred
            ]

    def refused(self, key: Hashable, reason: int, text: str, *, accepts: bool, now: float) -> None:
        """The broker has refused a message. ``accepts`` says whether it has accepted another over this connection."""
        if not isinstance(key, UUID) or key not in self._sent:
            return
        sent = self._sent.pop(key)
        if not accepts:
            self._refusals += 1
            due_at = now + pause_s(self._refusals, self._retry_max_s)
            self._deferred.append(_Deferred(sent.item, due_at, unproven=True))
            return
        if refusal_of(reason) is Refusal.TRANSIENT:
            # Only other messages that the broker accepts meanwhile show that the cause is this message.
            if self._acknowledged_count > sent.acknowledged_count:
                self._tries[key] = self._tries.get(key, 0) + 1
            if self._tries.get(key, 0) < TRIES_MAX:
                self._put_offs[key] = self._put_offs.get(key, 0) + 1
                due_at = now + pause_s(self._put_offs[key], RETRY_MAX_S)
                self._deferred.append(_Deferred(sent.item, due_at, unproven=False))
                return
        self.quarantine(key, BrokerRefused.code, f"The broker refused it: {text}.", topic=sent.item.topic)

    def quarantine(self, message_id: UUID, code: str, reason: str, *, topic: str) -> None:
        """Stop sending a message; the spool keeps it in quarantine."""
        self._forget(message_id)
        self._spool.quarantine(message_id, code, reason)
        # If the broker refuses a whole topic, one warning is enough.
        level = logging.DEBUG if (topic, code) in self._reported else logging.WARNING
        self._reported.add((topic, code))
        # A topic that cannot be published may contain halves of characters, which cannot be written to a log.
        shown = topic.encode(errors="backslashreplace").decode()
        log.log(level, "a message for %s is quarantined: %s", shown, reason, extra={"code": code})

    def _is_blocked(self) -> bool:
        """Whether no new messages are taken from the spool."""
        unproven = sum(deferred.unproven for deferred in self._deferred)
        return unproven >= self._max_in_flight or len(self._deferred) >= DEFERRED_MAX

    def _forget(self, message_id: UUID) -> None:
        self._sent.pop(message_id, None)
        self._tries.pop(message_id, None)
        self._put_offs.pop(message_id, None)

    def _take_deferred(self, now: float) -> Outgoing | None:
        for number, deferred in enumerate(self._deferred):
            if deferred.due_at <= now:
                return self._deferred.pop(number).item
        return None

    def _take_backlog(self, now: float) -> Outgoing | None:
        if not self._backlog_waits or now < self._replay_at:
            return None
        message = self._spool.take(live=False)
        if message is None:
            self._backlog_waits = False
            return None
        # Make up for a delay of up to a tenth of a second.
        self._replay_at = max(self._replay_at, now - 0.1) + self._replay_interval_s
        try:
            return Outgoing(message.id, message.topic, mark_replayed(message.payload))
        except ValueError as error:
            self._quarantine_damaged(message, error)
            return None

    def _quarantine_damaged(self, message: Message, error: ValueError) -> None:
        self.quarantine(message.id, MessageDamaged.code, f"Its content is damaged: {error}.", topic=message.topic)


def mark_replayed(payload: bytes) -> bytes:
    """A spooled message, marked as sent late. Raises ``ValueError`` if it is not a JSON object."""
    content = from_json(payload)
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - any problem of a payload is a ValueError
    return to_json({**content, "replayed": True})


def _id_of(item: Outgoing) -> UUID:
    if not isinstance(item.key, UUID):
        raise TypeError(f"{item.key!r} is not the id of a spooled message")
    return item.key
