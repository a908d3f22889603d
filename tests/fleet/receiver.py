"""A collector that only counts: a persistent session that acknowledges what it has recorded.

It runs as its own process. It ends at SIGTERM, once nothing has arrived for a while, and prints its counts as JSON.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections import defaultdict
from datetime import datetime
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from pydantic_core import from_json

RECEIVE_MAXIMUM = 500
SESSION_EXPIRY_S = 3600
REPORTED = 100
"""It reports progress each time that it has received this many results."""
CLIENT_ID = "fleet-receiver"


class Receiver:
    """Knows the received results by session and number. A broker's addresses are tried in turn."""

    def __init__(self, addresses: list[str], port: int, topic: str, idle_s: float) -> None:
        """``idle_s``: nothing more is expected after this long without a message."""
        self._idle_s = idle_s
        self._addresses = addresses
        self._port = port
        self._topic = topic
        self._numbers: defaultdict[str, set[int]] = defaultdict(set)
        self._times: list[tuple[float, float]] = []
        self._duplicates_count = 0
        self._connections_count = 0
        self._last_s = time.monotonic()
        self._lost = threading.Event()
        self._stopping = threading.Event()
        self._subscribed = threading.Event()

    def run(self) -> dict[str, Any]:
        """Receive until told to stop; returns what arrived."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop())
        attempt = 0
        while not self._over():
            client = self._client()
            try:
                options = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
                options.SessionExpiryInterval = SESSION_EXPIRY_S
                options.ReceiveMaximum = RECEIVE_MAXIMUM
                address = self._addresses[attempt % len(self._addresses)]
                client.connect(address, self._port, keepalive=5, clean_start=False, properties=options)
            except OSError:
                attempt += 1
                self._stopping.wait(0.5)
                continue
            self._lost.clear()
            client.loop_start()
            while not self._lost.wait(0.2) and not self._over():
                pass
            client.disconnect()
            client.loop_stop()
            attempt += 1
        return {
            "sessions": {session: sorted(numbers) for session, numbers in self._numbers.items()},
            "duplicates_count": self._duplicates_count,
            "connections_count": self._connections_count,
            "times": self._times,
        }

    def _stop(self) -> None:
        # Silence so far may be due to a fault: messages that the broker keeps are still to come.
        self._last_s = time.monotonic()
        self._stopping.set()

    def _over(self) -> bool:
        if not self._stopping.is_set():
            return False
        return time.monotonic() - self._last_s > self._idle_s

    def _client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=CLIENT_ID,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: self._on_subscribed()
        client.on_disconnect = lambda *_: self._lost.set()
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: mqtt.Client, _data: object, _flags: object, reason: Any, _properties: object) -> None:
        if reason.is_failure:
            self._lost.set()
            return
        self._connections_count += 1
        self._last_s = time.monotonic()
        client.subscribe(self._topic, qos=1)

    def _on_subscribed(self) -> None:
        if not self._subscribed.is_set():
            self._subscribed.set()
            sys.stdout.write("subscribed\n")
            sys.stdout.flush()

    def _on_message(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        now_s = time.time()
        content = from_json(message.payload)
        numbers = self._numbers[content["session"]]
        if content["seq"] in numbers:
            self._duplicates_count += 1
        else:
            numbers.add(content["seq"])
            taken_s = datetime.fromisoformat(content["captured_at"]).timestamp()
            self._times.append((round(taken_s, 3), round(now_s - taken_s, 4)))
            if len(self._times) % REPORTED == 0:
                sys.stdout.write("more\n")
                sys.stdout.flush()
        self._last_s = time.monotonic()
        client.ack(message.mid, message.qos)


def main(port: str, topic: str, idle_s: str, *addresses: str) -> None:
    """Receive, and print what arrived."""
    found = Receiver(list(addresses), int(port), topic, float(idle_s)).run()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
