"""Publishes numbered results of several devices over one connection, and does not stop before all are acknowledged.

    python -m tests.faults.collector_publisher PORT NAME DEVICES COUNT RESEND_S

A broker that is killed forgets what it had acknowledged and not written yet. Those acknowledged less than ``RESEND_S``
seconds before a connection was lost are therefore sent again; with 0 they are not, as the agent does it. Prints one
line whenever everything has been acknowledged, and ends when its input is closed.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from uuid_utils.compat import uuid7

from edge_agent.contracts import Topics
from tests.collecting import make_result

IN_FLIGHT_COUNT = 100
NO_SUBSCRIBERS = 0x10
PAUSE_S = 0.2
"""After a message that nobody has subscribed to yet."""
SITE = "north-clinic"

_TEMPLATES_COUNT = 50


class NumberedResults:
    """The same message for the same number, each time that it is asked for."""

    def __init__(self, name: str, devices_count: int, count: int) -> None:
        self.topics = [Topics(SITE, f"{name}-{number}").result("camera0") for number in range(devices_count)]
        self._sessions = [str(uuid7()) for _ in range(devices_count)]
        self._ids = [str(uuid7()) for _ in range(count)]
        self._times = [""] * count
        self._devices = [f"{name}-{number}" for number in range(devices_count)]
        self._templates = [json.loads(make_result().to_json()) for _ in range(_TEMPLATES_COUNT)]

    def make(self, number: int) -> tuple[str, bytes]:
        """Topic and payload. Its time of capture is that of the first call."""
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


class NumberedPublisher:
    """One connection. All state is behind one condition; paho has a thread of its own."""

    def __init__(self, port: int, name: str, results: NumberedResults, count: int, resend_s: float) -> None:
        self._port, self._results, self._count, self._resend_s = port, results, count, resend_s
        self._changed = threading.Condition()
        self._unsent = deque(range(count))
        self._in_flight: dict[int, int] = {}
        """Number of the message by number of its packet."""
        self._acknowledged: deque[tuple[float, int]] = deque()
        self._done = bytearray(count)
        self._connected = False
        self._paused_until = 0.0
        self.sent_again_count = 0
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.max_inflight_messages_set(0)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish

    def run(self) -> None:
        """Publish until all is acknowledged; after a lost connection, until it is so again. Never returns."""
        self._client.connect_async("127.0.0.1", self._port)
        self._client.loop_start()
        told = False
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work if told else lambda: self._has_work() or self._is_done())
                if not self._has_work():
                    told = True
                    sys.stdout.write(f"{self._count} acknowledged, {self.sent_again_count} sent again\n")
                    sys.stdout.flush()
                    continue
                told = False
                self._changed.wait_for(lambda: False, max(0.0, self._paused_until - time.monotonic()))
                if not self._has_work():
                    continue
                number = self._unsent.popleft()
                topic, payload = self._results.make(number)
                packet = self._client.publish(topic, payload, qos=1)
                self._in_flight[packet.mid] = number

    def _has_work(self) -> bool:
        return self._connected and bool(self._unsent) and len(self._in_flight) < IN_FLIGHT_COUNT

    def _is_done(self) -> bool:
        return not self._unsent and not self._in_flight

    def _on_connect(
        self, _client: mqtt.Client, _data: object, _flags: object, reason: Any, _properties: object
    ) -> None:
        with self._changed:
            self._connected = not reason.is_failure
            self._changed.notify_all()

    def _on_publish(self, _client: mqtt.Client, _data: object, packet: int, reason: Any, _properties: object) -> None:
        with self._changed:
            number = self._in_flight.pop(packet, None)
            if number is None:
                return
            if reason.is_failure or reason.value == NO_SUBSCRIBERS:
                # Acknowledged, and passed on to nobody.
                self._unsent.append(number)
                self._paused_until = time.monotonic() + PAUSE_S
            elif not self._done[number]:
                self._done[number] = 1
                self._acknowledged.append((time.monotonic(), number))
                while self._acknowledged and self._acknowledged[0][0] < time.monotonic() - self._resend_s:
                    self._acknowledged.popleft()
            self._changed.notify_all()

    def _on_disconnect(
        self, client: mqtt.Client, _data: object, _flags: object, _reason: Any, _properties: object
    ) -> None:
        with self._changed:
            self._connected = False
            since = time.monotonic() - self._resend_s
            doubted = [number for at, number in self._acknowledged if at >= since]
            self._acknowledged.clear()
            for number in doubted:
                self._done[number] = 0
            self.sent_again_count += len(doubted)
            self._unsent.extendleft(reversed([*doubted, *self._in_flight.values()]))
            self._in_flight.clear()
            # What paho would send again by itself is sent from here.
            client._out_messages.clear()
            self._changed.notify_all()


def main() -> None:
    """See the module."""
    port, name, devices, count, resend_s = sys.argv[1:]
    results = NumberedResults(name, int(devices), int(count))
    publisher = NumberedPublisher(int(port), name, results, int(count), float(resend_s))
    threading.Thread(target=publisher.run, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
