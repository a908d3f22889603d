"""A publisher with a spool that tells what becomes of each message."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from uuid_utils.compat import uuid7

from edge_agent.contracts import Topics
from edge_agent.mqtt import BrokerState, MqttSettings, Publisher
from edge_agent.spool import MemorySpool, Message
from tests.mqtt import PATIENCE_S

TOPICS = Topics("clinic", "scope-1")


class WatchedSpool(MemorySpool):
    """Says when a message is acknowledged, and when one is quarantined."""

    def __init__(self) -> None:
        super().__init__(2**24)
        self.acknowledgements: queue.SimpleQueue[UUID] = queue.SimpleQueue()
        self.quarantines: queue.SimpleQueue[tuple[UUID, str, str]] = queue.SimpleQueue()

    def acknowledge(self, message_id: UUID) -> None:
        super().acknowledge(message_id)
        self.acknowledgements.put(message_id)

    def quarantine(self, message_id: UUID, code: str, reason: str) -> None:
        before = self.stats().quarantined_count
        super().quarantine(message_id, code, reason)
        if self.stats().quarantined_count > before:
            self.quarantines.put((message_id, code, reason))


class Scope:
    """A device as far as the broker sees it."""

    def __init__(self, port: int, spool: WatchedSpool, topics: Topics, settings: dict[str, object]) -> None:
        self.states: queue.SimpleQueue[BrokerState] = queue.SimpleQueue()
        self.spool = spool
        self.topics = topics
        values = {"port": port, "reconnect_max_s": 1, "drain_s": 1, **settings}
        self.publisher = Publisher(
            MqttSettings.model_validate(values),
            topics,
            spool,
            uuid7(),
            replay_rate_hz=10_000,
            on_state=self.states.put,
        )

    def append(self, payload: bytes | None = None, *, topic: str | None = None) -> UUID:
        content = json.dumps({"replayed": False}).encode() if payload is None else payload
        message = Message(uuid7(), topic or self.topics.result("camera0"), content)
        self.spool.append(message)
        self.publisher.wake()
        return message.id

    def until(self, wanted: Callable[[BrokerState], bool]) -> BrokerState:
        while True:
            state = self.states.get(timeout=PATIENCE_S)
            if wanted(state):
                return state

    def until_connected(self) -> BrokerState:
        return self.until(lambda state: state.connected)

    def until_acknowledged(self, wanted: set[UUID]) -> None:
        missing = set(wanted)
        while missing:
            missing.discard(self.spool.acknowledgements.get(timeout=PATIENCE_S))

    def next_quarantined(self) -> tuple[UUID, str, str]:
        return self.spool.quarantines.get(timeout=PATIENCE_S)


@contextmanager
def scope(
    port: int, *, spool: WatchedSpool | None = None, topics: Topics = TOPICS, start: bool = True, **settings: object
) -> Iterator[Scope]:
    """A device that talks to a broker for the time of a test."""
    found = Scope(port, spool or WatchedSpool(), topics, settings)
    if start:
        found.publisher.start()
    try:
        yield found
    finally:
        found.publisher.stop()
