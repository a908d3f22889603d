"""Publishes numbered results of several devices over one connection, and continues until all are acknowledged.

    python -m tests.faults.collector_publisher PORT NAME DEVICES COUNT RESEND_S

A killed broker forgets messages that it had acknowledged but not yet written. Those acknowledged less than ``RESEND_S``
seconds before a connection was lost are therefore sent again, and so are those that the broker acknowledged without
passing them on to anybody. With 0 they are not, as with the agent. Prints one line whenever everything has been
acknowledged, and ends when its input is closed.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from uuid_utils.compat import uuid7

from edge_agent.contracts import Topics
from tests.collecting import make_result

IN_FLIGHT_COUNT = 100
NO_SUBSCRIBERS = 0x10
PAUSE_S = 0.2
"""Pause after a message to which nobody has subscribed yet."""
SITE = "north-clinic"

_TEMPLATES_COUNT = 50


class NumberedResults:
    """Makes the same message whenever it is asked for the same number."""

    def __init__(self, name: str, devices_count: int, count: int) -> None:
        self.topics = [Topics(SITE, f"{name}-{number}").result("camera0") for number in range(devices_count)]
        self._sessions = [str(uuid7()) for _ in range(devices_count)]
        self._ids = [str(uuid7()) for _ in range(count)]
        self._times = [""] * count
        self._devices = [f"{name}-{number}" for number in range(devices_count)]
        self._templates = [json.loads(make_result().to_json()) for _ in range(_TEMPLATES_COUNT)]

    def make(self, number: int) -> tuple[str, bytes]:
        """Topic and payload. The time of capture is that of the first call."""
        device, seq = number % len(self.topics), number // len(self.topics)
        if not self._times[number]:
            self._times[number] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        said = self._templates[number % _TEMPLATES_COUNT]
        said |= {
            "id": self._ids[number],
            "site": SITE,
            "device": self._devices[device],
            "session": self._sessions[device],
            "seq": seq,
            "captured_at": self._times[number],
        }
        return self.topics[device], json.dumps(said, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Acknowledged:
    packet: int
    reason: int


@dataclass(frozen=True, slots=True)
class Changed:
    is_connected: bool


class NumberedPublisher:
    """One connection. paho's thread only queues events; the caller's thread decides."""

    def __init__(self, port: int, name: str, results: NumberedResults, count: int, resend_s: float) -> None:
        self._port, self._results, self._count, self._resend_s = port, results, count, resend_s
        self._happened: queue.SimpleQueue[Acknowledged | Changed] = queue.SimpleQueue()
        self._unsent = deque(range(count))
        self._in_flight: dict[int, int] = {}
        """Number of the message by number of its packet."""
        self._acknowledged: deque[tuple[float, int]] = deque()
        """The last acknowledged messages, with the time."""
        self._is_connected = False
        self._paused_until = 0.0
        self.sent_again_count = 0
        self.unheard_count = 0
        """Acknowledgements of messages to which nobody had subscribed."""
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.max_inflight_messages_set(0)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda _client, _data, _flags, reason, _properties: self._happened.put(
            Changed(not reason.is_failure)
        )
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = lambda _client, _data, packet, reason, _properties: self._happened.put(
            Acknowledged(packet, reason.value)
        )

    def run(self) -> None:
        """Publish until all is acknowledged, and again after every lost connection. Never returns."""
        self._client.connect_async("127.0.0.1", self._port)
        self._client.loop_start()
        told = False
        while True:
            self._take_in()
            if self._has_work():
                told = False
                number = self._unsent.popleft()
                topic, payload = self._results.make(number)
                self._in_flight[self._client.publish(topic, payload, qos=1).mid] = number
            elif not told and self._is_connected and not self._unsent and not self._in_flight:
                told = True
                counts = f"{self.sent_again_count} sent again, {self.unheard_count} unheard"
                sys.stdout.write(f"{self._count} acknowledged, {counts}\n")
                sys.stdout.flush()

    def _has_work(self) -> bool:
        return self._is_connected and bool(self._unsent) and len(self._in_flight) < IN_FLIGHT_COUNT

    def _take_in(self) -> None:
        """Take in one event; wait for one if there is nothing to do."""
        pause_s = self._paused_until - time.monotonic()
        idle = not self._has_work() or pause_s > 0
        try:
            happened = self._happened.get(block=idle, timeout=pause_s if pause_s > 0 else None)
        except queue.Empty:
            return
        match happened:
            case Changed(is_connected):
                self._is_connected = is_connected
                if not is_connected:
                    self._take_back()
            case Acknowledged(packet, reason) if packet in self._in_flight:
                number, now = self._in_flight.pop(packet), time.monotonic()
                if reason >= NO_SUBSCRIBERS:
                    self.unheard_count += 1
                if reason >= NO_SUBSCRIBERS and self._resend_s:
                    self._unsent.append(number)
                    self._paused_until = now + PAUSE_S
                    return
                self._acknowledged.append((now, number))
                while self._acknowledged and self._acknowledged[0][0] < now - self._resend_s:
                    self._acknowledged.popleft()

    def _take_back(self) -> None:
        """Take back unacknowledged and doubtful messages after the connection was lost."""
        since = time.monotonic() - self._resend_s
        doubted = [number for at, number in self._acknowledged if at > since]
        self._acknowledged.clear()
        self.sent_again_count += len(doubted)
        self._unsent.extendleft(reversed([*doubted, *self._in_flight.values()]))
        self._in_flight.clear()

    def _on_disconnect(self, client: mqtt.Client, *_: object) -> None:
        # Messages that paho would send again by itself are sent from here.
        client._out_messages.clear()
        self._happened.put(Changed(is_connected=False))


def main() -> None:
    """See the module."""
    port, name, devices, count, resend_s = sys.argv[1:]
    results = NumberedResults(name, int(devices), int(count))
    publisher = NumberedPublisher(int(port), name, results, int(count), float(resend_s))
    threading.Thread(target=publisher.run, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
