"""What a dashboard's author works with: results, devices and commands over one connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from pydantic import JsonValue, ValidationError
from uuid_utils.compat import uuid7

from edge_agent.client.address import broker_settings
from edge_agent.client.connection import Connection, Delivery, Subscription
from edge_agent.client.liveness import SILENT_AFTER_S, Device, Devices
from edge_agent.client.messages import Message, Unreadable, parse
from edge_agent.client.reader import Reader
from edge_agent.client.recording import Recorder
from edge_agent.client.sequence import Gap, ResultSequence
from edge_agent.client.settings import BrokerSettings
from edge_agent.contracts import REQUESTS, Answer, CommandName, Result, Topics, topic_segment
from edge_agent.errors import BrokerError, CommandInvalid, CommandUnanswered, CommandUnknown, ConfigError

log = logging.getLogger(__name__)

REORDER_S = 1.0
"""So long a result waits for the one before it."""

TICK_S = 0.25

_ESSENTIAL = ("result/+", "event", "report")
_STATES = ("status", "info", "health", "metrics", "last", "specimen", "model/reported")
"""With QoS 0: they are retained or repeated, and old ones say nothing to a client that was away."""


@dataclass(slots=True)
class Counts:
    """What a client has met since it began."""

    received_count: int = 0
    repeated_count: int = 0
    """Results that came again."""
    dropped_count: int = 0
    """States and figures that were not read in time."""
    unreadable_count: Counter[str] = field(default_factory=Counter)
    """By ``Fault``."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Of which devices a reader wants results. None is any."""

    reader: Reader[Result]
    site: str | None
    device: str | None

    def includes(self, result: Result) -> bool:
        return self.site in {None, result.site} and self.device in {None, result.device}


@dataclass(slots=True)
class _Unread:
    """A result that somebody still has to deal with, and how its newest delivery is acknowledged."""

    acknowledge: Callable[[], None]
    readers_count: int = 0


class Client:
    """A connection to the broker, as an asynchronous context manager.

    It connects again by itself, and keeps ``devices`` up to date. Results are iterated over with ``results``.

    With a ``name`` the broker keeps what arrives while the client is away, and a result is acknowledged only when the
    loop asks for the next one: what a killed program, or a loop that was left, had not finished comes again. Such a
    client has to read ``results``; after 1000 unread ones the broker waits. Two running clients may not have the same
    name.

    Leaving it ends all iterations.
    """

    def __init__(
        self,
        broker: str | BrokerSettings,
        *,
        name: str | None = None,
        site: str = "+",
        device: str = "+",
        commands: bool = False,
        reorder_s: float = REORDER_S,
        silent_after_s: float = SILENT_AFTER_S,
    ) -> None:
        """``broker`` is an address such as ``mqtts://user@broker.example:8883``; see ``broker_settings``.

        ``site`` and ``device`` limit what is subscribed to. ``commands`` is needed for ``request``: the account at the
        broker must be allowed to read answers and write commands.

        Raises ``ConfigError`` for a wrong address, site or device, or a file with a password or certificate that cannot
        be used.
        """
        _check_names(site, device)
        settings = broker if isinstance(broker, BrokerSettings) else broker_settings(broker)
        self.devices = Devices(silent_after_s=silent_after_s)
        self.counts = Counts()
        self._reorder_s = reorder_s
        self._is_named = name is not None
        self._sequences: dict[tuple[str, str], ResultSequence] = {}
        self._unread: dict[tuple[UUID, int], _Unread] = {}
        self._early: list[Result] = []
        self._wanted: list[_Wanted] = []
        self._messages: list[Reader[Message]] = []
        self._changes: list[Reader[Device]] = []
        self._recordings: list[Recorder] = []
        self._requests: dict[bytes, asyncio.Future[Answer]] = {}
        self._answers = f"client-{uuid7()}"
        base = f"leukoscope/v1/{site}/{device}"
        subscriptions = [
            *(Subscription(f"{base}/{each}", qos=1) for each in _ESSENTIAL),
            *(Subscription(f"{base}/{each}", qos=0) for each in _STATES),
        ]
        if commands:
            subscriptions.append(Subscription(f"{base}/answer/{self._answers}", qos=1))
        self._accepts_answers = commands
        self._connection = Connection(
            settings, subscriptions, client_id=name, on_delivery=self._on_delivery, on_change=self._on_change
        )
        self._stop = asyncio.Event()
        self._first: asyncio.Future[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.problem: BrokerError | None = None
        """Why there is no connection now; None while there is one."""

    async def __aenter__(self) -> Self:
        """Connect. Raises ``BrokerError`` if that fails; a connection that is lost later is made again."""
        self._first = asyncio.get_running_loop().create_future()
        self._tasks = [
            asyncio.create_task(self._connection.run(self._stop)),
            asyncio.create_task(self._keep_time()),
        ]
        try:
            await self._first
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Disconnect, and end all iterations."""
        self._stop.set()
        connection, keeping_time = self._tasks
        keeping_time.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping_time
        await connection
        for wanted in self._wanted:
            wanted.reader.end()
        for messages in self._messages:
            messages.end()
        for changes in self._changes:
            changes.end()
        for request in self._requests.values():
            request.cancel()

    def results(self, site: str | None = None, device: str | None = None) -> AsyncIterator[Result]:
        """Every result from now on: each once, and those of one run of a device in their order.

        A result whose predecessor is missing waits for it up to ``reorder_s``. Then there is a gap, which is listed in
        ``gaps``; a result that fills one comes as soon as it arrives.
        """
        wanted = _Wanted(Reader(), site, device)
        self._wanted.append(wanted)
        early, self._early = self._early, []
        for result in early:
            self._hand_to([wanted] if wanted.includes(result) else [], result)
        return _read(wanted.reader, lambda: self._leave(wanted))

    def messages(self) -> AsyncIterator[Message]:
        """Every readable message from now on, as it arrives: repeats too, in no order."""
        reader: Reader[Message] = Reader()
        self._messages.append(reader)
        return _read(reader, lambda: self._messages.remove(reader))

    def changes(self) -> AsyncIterator[Device]:
        """Each device whose presence changes from now on, such as one that is lost or has come back."""
        reader: Reader[Device] = Reader()
        self._changes.append(reader)
        return _read(reader, lambda: self._changes.remove(reader))

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The results that are missing now."""
        return tuple(gap for sequence in self._sequences.values() for gap in sequence.gaps)

    async def request(
        self,
        site: str,
        device: str,
        command: str,
        *,
        timeout_s: float = 10.0,
        request_id: UUID | None = None,
        **fields: JsonValue,
    ) -> Answer:
        """Ask a device for something, such as ``capture``, and wait for its answer, which may be a refusal.

        The same ``request_id`` again gets the same answer, and nothing is done twice.

        Raises ``CommandUnknown`` or ``CommandInvalid`` for a request that no device would accept, ``BrokerUnreachable``
        without a connection, and ``CommandUnanswered`` if no answer comes in time.
        """
        if not self._accepts_answers:
            raise CommandInvalid("This client does not read answers.", remedy="Create it with commands=True.")
        if command not in set(CommandName):
            raise CommandUnknown(f"There is no command '{command}'.")
        try:
            body = REQUESTS[CommandName(command)].model_validate(
                {"id": str(request_id or uuid7()), **fields}, by_name=True
            )
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False, include_context=False)
            said = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems)
            raise CommandInvalid(f"'{command}' cannot be asked for so: {said}.") from error
        try:
            topics = Topics(site, device)
        except ValueError as error:
            raise CommandInvalid(f"There is no such device: {error}.", remedy=_NAMES) from error
        correlation = uuid7().bytes
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._requests[correlation] = answer
        try:
            self._connection.publish(
                f"{topics.prefix}/command/{command}",
                body.to_json(),
                response_topic=f"{topics.answers}{self._answers}",
                correlation=correlation,
                expiry_s=max(1, round(timeout_s)),
            )
            return await asyncio.wait_for(answer, timeout_s)
        except TimeoutError as error:
            raise CommandUnanswered(
                f"{site}/{device} did not answer '{command}' within {timeout_s:g} s.",
                remedy="See in its status whether it is there. To ask again, use the same request_id.",
            ) from error
        finally:
            del self._requests[correlation]

    @contextlib.contextmanager
    def recording(self, path: Path) -> Iterator[None]:
        """Append everything that arrives to ``path`` as JSON lines, which ``read_recording`` reads.

        Raises ``FileUnusable`` if it cannot be opened, and at the end if it could not be written: a full disk ends the
        recording, and nothing else.
        """
        recorder = Recorder(path)
        self._recordings.append(recorder)
        try:
            yield
        finally:
            self._recordings.remove(recorder)
            recorder.close()

    def _on_change(self, error: BrokerError | None) -> None:
        self.problem = error
        if self._first is None or self._first.done():
            return
        if error is None:
            self._first.set_result(None)
        else:
            self._first.set_exception(error)

    def _on_delivery(self, delivery: Delivery) -> None:
        self.counts.received_count += 1
        for recorder in self._recordings:
            recorder.write(delivery.topic, delivery.payload, delivery.received_at, retained=delivery.retained)
        if not delivery.payload:
            self._take_clearing(delivery.topic)
            delivery.acknowledge()
            return
        message = parse(delivery.topic, delivery.payload)
        if isinstance(message, Unreadable):
            self._count_unreadable(message)
            delivery.acknowledge()
            return
        for reader in self._messages:
            self.counts.dropped_count += reader.put(message)
        if message.kind == "result" and isinstance(message.body, Result):
            self._add_result(message, message.body, delivery)
            return
        if isinstance(message.body, Answer):
            self._take_answer(message.body, delivery.correlation)
        else:
            changed = self.devices.update(
                message, time.monotonic(), retained=delivery.retained, expiry_s=delivery.expiry_s
            )
            if changed is not None:
                self._tell(changed)
        delivery.acknowledge()

    def _take_clearing(self, topic: str) -> None:
        """A retained message was cleared. Without a status the device is no longer in use under this name."""
        parts = topic.split("/")
        if len(parts) == 5 and parts[4] == "status":
            self.devices.forget(parts[2], parts[3])

    def _count_unreadable(self, unreadable: Unreadable) -> None:
        self.counts.unreadable_count[unreadable.fault] += 1
        # A faulty device must not fill the log.
        level = logging.WARNING if self.counts.unreadable_count[unreadable.fault] == 1 else logging.DEBUG
        log.log(
            level, "a message of %.200s cannot be read (%s): %s", unreadable.topic, unreadable.fault, unreadable.reason
        )

    def _add_result(self, message: Message, result: Result, delivery: Delivery) -> None:
        key = (result.session, result.seq)
        unread = self._unread.get(key)
        if unread is not None:
            # The connection was lost meanwhile: the new delivery is the one to acknowledge.
            self.counts.repeated_count += 1
            unread.acknowledge = delivery.acknowledge
            return
        self._unread[key] = _Unread(delivery.acknowledge)
        sequence = self._sequences.setdefault(
            (message.site, message.device), ResultSequence(message.site, message.device, wait_s=self._reorder_s)
        )
        passed = sequence.add(result, time.monotonic())
        for each in passed:
            self._pass_on(each)
        if not passed and not sequence.is_held(result):
            self.counts.repeated_count += 1
            self._deal_with(key)

    def _pass_on(self, result: Result) -> None:
        if not self._wanted and self._is_named:
            self._early.append(result)
            return
        self._hand_to([each for each in self._wanted if each.includes(result)], result)

    def _hand_to(self, wanted: list[_Wanted], result: Result) -> None:
        key = (result.session, result.seq)
        if not wanted:
            self._deal_with(key)
            return
        self._unread[key].readers_count = len(wanted)
        for each in wanted:
            each.reader.put(result, lambda: self._deal_with(key))

    def _leave(self, wanted: _Wanted) -> None:
        """Its loop was left: what no other loop has, and was not finished, is for the next one."""
        self._wanted.remove(wanted)
        for result in wanted.reader.unfinished():
            key = (result.session, result.seq)
            if self._is_named and self._unread[key].readers_count == 1:
                self._unread[key].readers_count = 0
                self._early.append(result)
            else:
                self._deal_with(key)

    def _deal_with(self, key: tuple[UUID, int]) -> None:
        unread = self._unread[key]
        unread.readers_count -= 1
        if unread.readers_count <= 0:
            del self._unread[key]
            unread.acknowledge()

    def _take_answer(self, answer: Answer, correlation: bytes | None) -> None:
        waiting = None if correlation is None else self._requests.get(correlation)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _tell(self, device: Device) -> None:
        for reader in self._changes:
            self.counts.dropped_count += reader.put(device)

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now_s = time.monotonic()
            for sequence in self._sequences.values():
                for result in sequence.release(now_s):
                    self._pass_on(result)
            for silent in self.devices.check_silence(now_s):
                self._tell(silent)


_NAMES = "Write site and device as in the device's topics, such as north-clinic and scope-1."


def _check_names(*names: str) -> None:
    """The broker would close the connection for some wrong ones, and never deliver anything for the others."""
    try:
        for name in names:
            if name != "+":
                topic_segment(name)
    except ValueError as error:
        raise ConfigError(f"There is no such site or device: {error}.", remedy=f"{_NAMES} '+' is any.") from error


async def _read(reader: Reader, at_end: Callable[[], None]) -> AsyncIterator:  # type: ignore[type-arg]
    try:
        async for item in reader.items():
            yield item
    finally:
        at_end()
