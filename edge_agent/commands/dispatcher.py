"""Carries commands out: one at a time, each id once, with an answer to every request."""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from pydantic import BaseModel, JsonValue, ValidationError

from edge_agent.contracts import (
    MAX_REQUEST_BYTES,
    REQUESTS,
    Answer,
    AnswerState,
    Command,
    CommandName,
    ErrorReport,
    EventKind,
)
from edge_agent.errors import (
    CommandBusy,
    CommandError,
    CommandExpired,
    CommandInterrupted,
    CommandInvalid,
    CommandRetained,
    CommandUnknown,
    EdgeAgentError,
    SpoolError,
)
from edge_agent.events.recorder import EventRecorder
from edge_agent.mqtt import Request
from edge_agent.spool import Spool

log = logging.getLogger(__name__)

REMEMBERED_COUNT = 64
"""So many ids are kept, with their answers."""

_NOTE = "command/"
_DURABLE_S = 10.0
_TOLD_MAX = 64

Data = dict[str, JsonValue]
Action = Callable[[Command], Data]


class CommandRecord(BaseModel):
    """What is kept of a request. Without an answer it was begun, and nobody knows how far it came."""

    digest: str
    answer: Answer | None = None


class _Identified(BaseModel):
    id: UUID


@dataclass(frozen=True, slots=True)
class _Job:
    name: CommandName
    command: Command
    digest: str


class CommandDispatcher:
    """Takes requests from the publisher's thread and works on them in its own.

    That a request was begun is durable before anything is done, and its answer before it is sent: after a kill, too,
    the same id is not carried out twice.
    """

    def __init__(
        self,
        spool: Spool,
        events: EventRecorder,
        session: UUID,
        actions: Mapping[CommandName, Action],
        answer: Callable[[Request, bytes], None],
    ) -> None:
        """``answer`` sends an answer and must not wait."""
        self._spool = spool
        self._events = events
        self._session = session
        self._actions = actions
        self._send = answer
        self._lock = threading.Lock()
        self._remembered: OrderedDict[UUID, CommandRecord] = OrderedDict(
            (UUID(key.removeprefix(_NOTE)), CommandRecord.model_validate_json(value))
            for key, value in spool.state_entries(_NOTE).items()
        )
        self._job: _Job | None = None
        self._askers: list[Request] = []
        self._told: set[tuple[str, bytes]] = set()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the command in hand."""
        if self._thread.ident is not None:
            self._work.put(None)
            self._thread.join()

    def submit(self, request: Request) -> None:
        """Take a request. Whatever is in it, it is answered, except one that was retained."""
        if request.retained:
            self._ignore(request)
            return
        try:
            job = _parse(request)
            with self._lock:
                known = self._accept(job, request)
        except CommandError as error:
            self._refuse(request, error)
            return
        if known is not None:
            self._send(request, known.to_json())

    def _accept(self, job: _Job, request: Request) -> Answer | None:
        """Begin, or join those who wait for the same; the answer, if it was given before. Raises ``CommandError``."""
        known = self._remembered.get(job.command.id)
        current = self._job
        if current is not None and current.command.id == job.command.id:
            _same(current.digest, job)
            self._askers.append(request)
            return None
        if known is not None:
            _same(known.digest, job)
            if known.answer is None:
                raise CommandInterrupted(f"The agent ended while it carried out '{job.name}'.")
            return known.answer
        if current is not None:
            raise CommandBusy(f"'{current.name}' is being carried out.")
        if request.deadline_s is not None and time.monotonic() >= request.deadline_s:
            raise CommandExpired(f"'{job.name}' came too late.")
        self._job, self._askers = job, [request]
        self._work.put(lambda: self._carry_out(job))
        return None

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def _carry_out(self, job: _Job) -> None:
        answer = self._answer(job.name, job.command.id, *self._act(job))
        try:
            self._keep(job, answer)
        except SpoolError as error:
            # It was done, and the answer goes out; after a restart the id counts as interrupted.
            log.error("%s", error)  # noqa: TRY400 - an expected state, not a traceback
        with self._lock:
            askers, self._askers, self._job = self._askers, [], None
        for request in askers:
            self._send(request, answer.to_json())

    def _act(self, job: _Job) -> tuple[AnswerState, ErrorReport | None, Data]:
        try:
            self._remember(job.command.id, CommandRecord(digest=job.digest))
            return AnswerState.DONE, None, self._actions[job.name](job.command)
        except CommandError as error:
            return AnswerState.REFUSED, ErrorReport.from_error(error), {}
        except EdgeAgentError as error:
            return AnswerState.FAILED, ErrorReport.from_error(error), {}
        except Exception as error:  # a defect of ours must neither end the dispatcher nor leave the sender waiting
            log.exception("the command '%s' failed", job.name)
            return AnswerState.FAILED, ErrorReport.from_error(CommandError(f"{type(error).__name__}: {error}.")), {}

    def _keep(self, job: _Job, answer: Answer) -> None:
        """Tell of the command, and keep its answer with that event. Raises ``SpoolError``."""
        done = answer.state is AnswerState.DONE
        error = answer.error
        self._events.record(
            EventKind.COMMAND_DONE if done else EventKind.COMMAND_REFUSED,
            f"The command '{job.name}' was {'carried out' if done else 'not carried out'}.",
            code=None if error is None else error.code,
            command=job.name.value,
            command_id=str(job.command.id),
        )
        self._remember(job.command.id, CommandRecord(digest=job.digest, answer=answer))

    def _remember(self, identity: UUID, value: CommandRecord) -> None:
        """Raises ``SpoolError`` if that does not become durable."""
        state_entries: dict[str, bytes | None] = {f"{_NOTE}{identity}": value.model_dump_json().encode()}
        with self._lock:
            self._remembered[identity] = value
            while len(self._remembered) > REMEMBERED_COUNT:
                oldest, _ = self._remembered.popitem(last=False)
                state_entries[f"{_NOTE}{oldest}"] = None
        self._spool.write_state_entries(state_entries)
        if not self._spool.flush(_DURABLE_S):
            raise SpoolError("The command's id could not be kept.")

    def _refuse(self, request: Request, error: CommandError) -> None:
        answer = self._answer(
            request.command, id_of(request.payload), AnswerState.REFUSED, ErrorReport.from_error(error), {}
        )
        self._send(request, answer.to_json())

    def _ignore(self, request: Request) -> None:
        """Tell of a retained command, once: it comes again with each connection."""
        identity = (request.command, hashlib.sha256(request.payload).digest())
        if identity in self._told or len(self._told) >= _TOLD_MAX:
            return
        self._told.add(identity)
        error = CommandRetained(f"A retained command '{_shown(request.command)}' was ignored.")
        self._work.put(
            lambda: self._events.record(
                EventKind.COMMAND_IGNORED, error.message, code=error.code, command=_shown(request.command)
            )
        )

    def _answer(
        self, command: str, identity: UUID | None, state: AnswerState, error: ErrorReport | None, data: Data
    ) -> Answer:
        return Answer(
            id=identity,
            device=self._events.topics.device,
            session=self._session,
            command=_shown(command),
            at=datetime.now(UTC),
            state=state,
            error=error,
            data=data,
        )


def _parse(request: Request) -> _Job:
    """Raises ``CommandError``."""
    if request.misdirected:
        raise CommandInvalid("The response topic does not lie below this device's 'answer/'.")
    try:
        name = CommandName(request.command)
    except ValueError as error:
        raise CommandUnknown(f"There is no command '{_shown(request.command)}'.") from error
    if len(request.payload) > MAX_REQUEST_BYTES:
        raise CommandInvalid(f"{len(request.payload)} bytes are more than the {MAX_REQUEST_BYTES} of a request.")
    try:
        command = REQUESTS[name].model_validate_json(request.payload)
    except ValidationError as error:
        raise CommandInvalid(_explain(error)) from error
    return _Job(name, command, hashlib.sha256(name.encode() + b"\0" + command.to_json()).hexdigest())


def id_of(payload: bytes) -> UUID | None:
    """The id of a request that is wrong elsewhere, so that its sender knows which one is answered."""
    try:
        return _Identified.model_validate_json(payload[:MAX_REQUEST_BYTES]).id
    except ValidationError:
        return None


def _same(digest: str, job: _Job) -> None:
    if digest != job.digest:
        raise CommandInvalid("The id was used for another request.")


def _explain(error: ValidationError) -> str:
    """The first few problems. What was sent is not repeated: it may be a patient's name."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)[:3]
    said = [
        f"{'.'.join(_shown(str(part)) for part in problem['loc']) or 'request'}: "
        f"{problem['msg'].removeprefix('Value error, ')}"
        for problem in problems
    ]
    return "; ".join(said)[:500] + "."


def _shown(text: str) -> str:
    """What somebody wrote, short and without control characters."""
    return "".join(character if character.isprintable() else "?" for character in text[:64])
