"""A broker on a loopback socket that does what a test tells it to, packet by packet, right or wrong."""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties, VariableByteIntegers

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Connect:
    """What a client's CONNECT says."""

    level: int
    client_id: str
    will_qos: int
    will_retain: bool
    keepalive_s: int


@dataclass(frozen=True)
class Publish:
    """A message that a client published, and over which connection (1 is the first)."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    number: int
    connection: int

    @property
    def kind(self) -> str:
        return self.topic.split("/")[4]


class HungUpError(Exception):
    """The client is gone."""


class Session:
    """One connection, for the script that serves it."""

    def __init__(self, connection: socket.socket, number: int, broker: ScriptedBroker) -> None:
        self.number = number
        self._connection = connection
        self._broker = broker
        self.connect = self._read_connect()

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._connection.sendall(data)

    def accept(self, **properties: object) -> None:
        """CONNACK."""
        self.refuse(0, **properties)

    def refuse(self, reason: int, **properties: object) -> None:
        """CONNACK with any reason."""
        self._answer(0x20, bytes([0, reason]), PacketTypes.CONNACK, properties)

    def acknowledge(self, message: Publish, reason: int = 0, **properties: object) -> None:
        """PUBACK."""
        head = struct.pack("!H", message.number)
        if self.connect.level < 5:
            self.send(b"\x40\x02" + head)
        else:
            self._answer(0x40, head + bytes([reason]), PacketTypes.PUBACK, properties)

    def disconnect(self, reason: int, **properties: object) -> None:
        """DISCONNECT, and hang up once the client has."""
        self._answer(0xE0, bytes([reason]), PacketTypes.DISCONNECT, properties)
        # A socket that is closed with data unread is reset, and a reset may reach the client before the packet does.
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
        while True:
            self._exactly(1)

    def publishes(
        self, *, subscription: int | None = 1, on_ping: Callable[[], None] = lambda: None
    ) -> Iterator[Publish]:
        """What the client publishes, until it hangs up. Pings are answered, and subscriptions by ``subscription``.

        None: hang up at a subscription.
        """
        while True:
            head, body = self._read()
            match head & 0xF0:
                case 0x30:
                    message = self._publish(head, body)
                    self._broker.published.put(message)
                    yield message
                case 0x80:
                    if subscription is None:
                        raise HungUpError
                    properties = b"\x00" if self.connect.level == 5 else b""
                    self._broker.subscriptions.put(_string(body[2 + len(properties) :])[0])
                    self.send(_packet(0x90, body[:2] + properties + bytes([subscription])))
                case 0xC0:
                    self._broker.pings.release()
                    on_ping()
                    self.send(b"\xd0\x00")
                case 0xE0:
                    raise HungUpError

    def _publish(self, head: int, body: bytes) -> Publish:
        topic, rest = _string(body)
        qos, number = (head >> 1) & 3, 0
        if qos:
            number, rest = struct.unpack("!H", rest[:2])[0], rest[2:]
        if self.connect.level == 5:
            size, used = VariableByteIntegers.decode(rest)  # type: ignore[no-untyped-call]
            rest = rest[used + size :]
        return Publish(topic, rest, qos, bool(head & 1), number, self.number)

    def _read_connect(self) -> Connect:
        # What looks whether this expects TLS is no client.
        head, body = self._read()
        if head != 0x10:
            raise HungUpError
        _, rest = _string(body)
        level, flags, keepalive_s = struct.unpack("!BBH", rest[:4])
        rest = rest[4:]
        if level == 5:
            size, used = VariableByteIntegers.decode(rest)  # type: ignore[no-untyped-call]
            rest = rest[used + size :]
        return Connect(level, _string(rest)[0], (flags >> 3) & 3, bool(flags & 0x20), keepalive_s)

    def _read(self) -> tuple[int, bytes]:
        head = self._exactly(1)[0]
        size, factor = 0, 1
        while True:
            byte = self._exactly(1)[0]
            size += (byte & 127) * factor
            factor *= 128
            if not byte & 128:
                return head, self._exactly(size)

    def _exactly(self, count: int) -> bytes:
        read = b""
        while len(read) < count:
            try:
                chunk = self._connection.recv(count - len(read))
            except OSError:
                chunk = b""
            if not chunk:
                raise HungUpError
            read += chunk
        return read

    def _answer(self, head: int, body: bytes, kind: int, values: dict[str, object]) -> None:
        if self.connect.level == 5:
            properties = Properties(kind)  # type: ignore[no-untyped-call]
            for name, value in values.items():
                setattr(properties, name, value)
            body += properties.pack()  # type: ignore[no-untyped-call]
        self.send(_packet(head, body))


def _packet(head: int, body: bytes) -> bytes:
    return bytes([head, *VariableByteIntegers.encode(len(body))]) + body  # type: ignore[no-untyped-call]


def _string(data: bytes) -> tuple[str, bytes]:
    (size,) = struct.unpack("!H", data[:2])
    return data[2 : 2 + size].decode(), data[2 + size :]


def polite(session: Session) -> None:
    """Accept everything."""
    session.accept()
    for message in session.publishes():
        if message.qos:
            session.acknowledge(message)


class ScriptedBroker:
    """Serves each connection in a thread of its own, by a script that ends it when it returns."""

    def __init__(self, script: Callable[[Session], None]) -> None:
        self._script = script
        self.published: queue.SimpleQueue[Publish] = queue.SimpleQueue()
        self.connects: queue.SimpleQueue[Connect] = queue.SimpleQueue()
        self.pings = threading.Semaphore(0)
        self.subscriptions: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.failures: list[BaseException] = []
        self._server = socket.create_server((LOOPBACK, 0))
        self.port: int = self._server.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            number += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=[connection, number])
            thread.start()
            self._threads.append(thread)

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection:
            try:
                session = Session(connection, number, self)
                self.connects.put(session.connect)
                self._script(session)
            except HungUpError:
                pass
            except BaseException as failure:  # noqa: BLE001 - told by ``close``
                self.failures.append(failure)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._accepting.join()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        if self.failures:
            raise self.failures[0]


@contextlib.contextmanager
def scripted_broker(script: Callable[[Session], None] = polite) -> Iterator[ScriptedBroker]:
    """A broker that runs for the time of a test."""
    broker = ScriptedBroker(script)
    try:
        yield broker
    finally:
        broker.close()
