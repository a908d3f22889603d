"""A subscriber on the host that the box's broker never forgets. It keeps each message with the time of its arrival."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.cli.local_broker import LOOPBACK

CLIENT_ID = "system-test"
SPOOLED = frozenset({"result", "event", "report"})
NEVER_EXPIRES_S = 0xFFFFFFFF
PATIENCE_S = 900.0
"""For something that must arrive: as long as the slowest machine may take, and not a measurement of anything."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as it arrived."""

    kind: str
    body: dict[str, Any]
    at_s: float
    """Monotonic time of the host at its arrival."""
    retained: bool

    @property
    def id(self) -> UUID:
        """The id of a spooled message: the same on every delivery."""
        return UUID(self.body["id"])


class Watch:
    """Connects as soon as the broker is there, and again whenever it was away."""

    def __init__(self, port: int) -> None:
        self._messages: list[Seen] = []
        self._changed = threading.Condition()
        self.connected = threading.Event()
        self.forgotten_count = 0
        """How often the broker had forgotten this subscriber, and may have dropped its messages."""
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=CLIENT_ID, protocol=MQTTProtocolVersion.MQTTv5
        )
        # The port is open as long as QEMU is running; a connection to it may hang until the box is up.
        self._client.connect_timeout = 5
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self.connected.set()
        self._client.on_message = self._take
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = NEVER_EXPIRES_S
        self._client.connect_async(LOOPBACK, port, keepalive=10, clean_start=False, properties=properties)
        self._client.loop_start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: mqtt.Client, _data: object, flags: mqtt.ConnectFlags, *_: object) -> None:
        if not flags.session_present:
            self.forgotten_count += 1
        client.subscribe("leukoscope/#", qos=1)

    def _take(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if not message.payload:
            # This is how a retained message is removed.
            return
        seen = Seen(message.topic.split("/")[4], json.loads(message.payload), time.monotonic(), message.retain)
        with self._changed:
            self._messages.append(seen)
            self._changed.notify_all()

    def wait(self, what: str, wanted: Callable[[Seen], bool], *, since_s: float, timeout_s: float = PATIENCE_S) -> Seen:
        """The first wanted message since ``since_s``. Raises ``AssertionError`` if none arrives."""
        checked = 0
        found: Seen | None = None

        def look() -> bool:
            nonlocal checked, found
            for message in self._messages[checked:]:
                checked += 1
                if message.at_s >= since_s and wanted(message):
                    found = message
                    return True
            return False

        with self._changed:
            self._changed.wait_for(look, timeout_s)
            if found is None:
                last = [f"{seen.kind} {json.dumps(seen.body)[:300]}" for seen in self._messages[-5:]]
                raise AssertionError(f"no {what} within {timeout_s:g} s; the last messages: {last}")
        return found

    def result(self, *, since_s: float, other_than: UUID | None = None, timeout_s: float = PATIENCE_S) -> Seen:
        """The first result of a frame that could be judged, of a session other than ``other_than``."""

        def wanted(seen: Seen) -> bool:
            judged = seen.kind == "result" and seen.body["outcome"] != "failed"
            return judged and (other_than is None or UUID(seen.body["session"]) != other_than)

        return self.wait("result", wanted, since_s=since_s, timeout_s=timeout_s)

    def results(self, count: int, *, since_s: float, timeout_s: float = PATIENCE_S) -> None:
        """Wait until ``count`` more results have arrived. Raises ``AssertionError`` if they do not."""
        ids: set[UUID] = set()

        def enough(seen: Seen) -> bool:
            if seen.kind == "result":
                ids.add(seen.id)
            return len(ids) >= count

        self.wait(f"{count} results", enough, since_s=since_s, timeout_s=timeout_s)

    def last_result(self) -> Seen:
        """The newest result. Raises ``StopIteration`` if there is none yet."""
        with self._changed:
            return next(
                seen for seen in reversed(self._messages) if seen.kind == "result" and not seen.body["replayed"]
            )

    def results_of(self, session: UUID) -> list[dict[str, Any]]:
        """The results of one run of the agent in the order of arrival, including repeats."""
        with self._changed:
            return [
                seen.body for seen in self._messages if seen.kind == "result" and UUID(seen.body["session"]) == session
            ]

    def ids(self) -> set[UUID]:
        """The ids of all spooled messages, each once."""
        with self._changed:
            return {seen.id for seen in self._messages if seen.kind in SPOOLED}

    def repeats_count(self) -> int:
        """The number of deliveries beyond the first."""
        with self._changed:
            delivered = Counter(seen.id for seen in self._messages if seen.kind in SPOOLED)
        return delivered.total() - len(delivered)

    def holes(self) -> dict[UUID, list[int]]:
        """Sequence numbers that are missing below each session's highest, if any are."""
        sessions: dict[UUID, set[int]] = defaultdict(set)
        with self._changed:
            for seen in self._messages:
                if seen.kind == "result":
                    sessions[UUID(seen.body["session"])].add(seen.body["seq"])
        missing = {session: sorted(set(range(max(numbers))) - numbers) for session, numbers in sessions.items()}
        return {session: numbers for session, numbers in missing.items() if numbers}
