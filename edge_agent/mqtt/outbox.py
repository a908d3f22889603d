"""Messages outside the spool: status, retained messages, answers, metrics."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Hashable
from itertools import count

from edge_agent.contracts import Topics
from edge_agent.mqtt.outgoing import Outgoing
from edge_agent.mqtt.withheld import Withheld
from edge_agent.spool.base import Spool

log = logging.getLogger(__name__)

METRICS_RING = 120
"""One hour of metrics is kept while the broker is away; older ones are dropped."""

ANSWERS_RING = 20

RETAINED = "retained_topic:"
"""Prefix of the state entries with the topics on which the broker retains a message of this device."""


class Outbox:
    """Keeps messages to send over each new connection, and those that could not be sent yet.

    Each topic with a retained message is stored in the spool's state. After a change of site or id the device clears
    its old topics, so that they do not show a device that is gone. It also clears a topic elsewhere, such as that of
    Home Assistant, once nothing is to be retained there any more.
    """

    def __init__(self, topics: Topics, spool: Spool, withheld: Withheld) -> None:
        self._topics = topics
        self._spool = spool
        self._withheld = withheld
        self._retained: dict[str, Outgoing] = {}
        self._answers: dict[Hashable, Outgoing] = {}
        self._metrics: deque[bytes] = deque(maxlen=METRICS_RING)
        self._waiting: deque[Outgoing] = deque()
        self._numbers = count()
        self._connected = False
        self._noted: set[str] = set()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self._waiting

    def begin(self) -> None:
        """There is a new connection: send the retained messages. Status, answers and ``clear_former_topics`` follow."""
        self._connected = True
        self._waiting.clear()
        self._noted = set(self._spool.state_entries(RETAINED))
        for item in self._retained.values():
            self._put(item)

    def end(self) -> None:
        """The connection was lost. Answers that were not acknowledged wait for the next."""
        self._connected = False
        self._waiting.clear()

    def put_status(self, status: Outgoing) -> None:
        """The device's status has changed, or is to be repeated. Without a connection it is not kept."""
        if self._connected:
            self._put(status)

    def put_retained(self, topic: str, payload: bytes, expiry_s: int | None = None) -> None:
        """Send a retained message now and over each new connection. The broker forgets it after ``expiry_s``."""
        item = self._retained[topic] = Outgoing(topic, topic, payload, retain=True, expiry_s=expiry_s)
        if self._connected:
            self._put(item)

    def put_answer(self, topic: str, payload: bytes, correlation: bytes | None) -> None:
        """Answer a request; while there is no connection the newest answers are kept."""
        key = ("answer", next(self._numbers))
        self._answers[key] = Outgoing(key, topic, payload, correlation=correlation)
        if len(self._answers) > ANSWERS_RING:
            self._answers.pop(next(iter(self._answers)))
        if self._connected:
            self._put(self._answers[key])

    def take_over_answers(self, former: Outbox) -> None:
        """Answer what ``former`` has not, over the next connection."""
        for item in former._answers.values():
            self.put_answer(item.topic, item.payload, item.correlation)

    def put_answers(self) -> None:
        """Send the answers that were waiting for this connection."""
        for item in self._answers.values():
            self._put(item)

    def clear_former_topics(self) -> None:
        """Clear the retained messages of this device under a former name, and those elsewhere that are not wanted now.

        Below the device's own prefix all remain: a topic without a retained message now may get one in a moment.
        """
        for entry in sorted(self._noted):
            topic = entry.removeprefix(RETAINED)
            if topic not in self._retained and not topic.startswith(f"{self._topics.prefix}/"):
                self._put(Outgoing(("clear", topic), topic, b"", retain=True))

    def put_metrics(self, payload: bytes) -> None:
        """Send metrics; while there is no connection the newest are kept."""
        self._metrics.append(payload)

    def next(self) -> Outgoing | None:
        """The next message to send."""
        return self._waiting.popleft() if self._waiting else None

    def next_metrics(self) -> Outgoing | None:
        """Metrics to send now, with QoS 0 and so without an acknowledgement."""
        return Outgoing("metrics", self._topics.metrics, self._metrics.popleft(), qos=0) if self._metrics else None

    def sent_retained(self, topic: str) -> None:
        """The broker is about to retain a message on this topic."""
        entry = f"{RETAINED}{topic}"
        if entry not in self._noted:
            self._noted.add(entry)
            self._spool.write_state_entries({entry: b""})

    def acknowledged(self, item: Outgoing) -> None:
        """The broker has accepted ``item``."""
        self._answers.pop(item.key, None)
        if item.retain and not item.payload and item.topic not in self._retained:
            entry = f"{RETAINED}{item.topic}"
            self._noted.discard(entry)
            self._spool.write_state_entries({entry: None})
            log.info("cleared %s, which this device used before", item.topic)

    def refused(self, item: Outgoing) -> None:
        """The broker refused ``item``: it is sent again when it changes, or over the next connection."""
        self._answers.pop(item.key, None)

    def repeat_retained(self, keys: set[Hashable]) -> None:
        """Send the retained messages with these keys once more."""
        for topic, item in self._retained.items():
            if topic in keys and self._connected:
                self._put(item)

    def _put(self, item: Outgoing) -> None:
        if item.key in self._withheld:
            return
        for number, other in enumerate(self._waiting):
            if other.key == item.key:
                # The waiting message was not sent yet: replace it, since it is no longer true.
                self._waiting[number] = item
                return
        self._waiting.append(item)
