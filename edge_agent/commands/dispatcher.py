"""Carries out commands, one at a time and each id once, and answers every request."""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from edge_agent.commands.handlers import Data, Handler
from edge_agent.commands.parsing import ParsedRequest, parse_request, printable, request_id
from edge_agent.commands.records import CommandRecord, CommandRecords
from edge_agent.contracts import Answer, AnswerState, CommandName, ErrorReport, EventKind
from edge_agent.errors import (
    CommandBusy,
    CommandError,
    CommandExpired,
    CommandInterrupted,
    CommandInvalid,
    CommandRetained,
    EdgeAgentError,
)
from edge_agent.events.recorder import EventRecorder
from edge_agent.mqtt import Request
from edge_agent.spool import Spool
from edge_agent.watchdog import StallDetector

log = logging.getLogger(__name__)

Reply = Callable[[bytes], None]
"""Sends the JSON of an answer, and must not wait."""

MQTT = "mqtt"
"""The sender of a command in its event: the broker does not say who it is."""

COMMAND_LIMIT_S = 180.0
"""A command that takes longer is stuck.

The longest is a calibration: 90 s for its frames, the last of which may still have to be measured, up to 10 s each
before and after it for the spool, and an event in between, which may wait for the disk too. The second longest is a
capture, which has 30 s for its frame.
"""

_RETAINED_MAX = 64
"""Number of retained commands that are remembered as recorded."""


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A request that will be carried out, and who sent it."""

    request: ParsedRequest
    by: str


class CommandDispatcher:
    """Takes requests from any thread, such as the publisher's and the microscope page's, and works on them in its own.

    The start of a request is durable before anything is done, and its answer before it is sent. So the same id is not
    carried out twice, even after a kill.
    """

    def __init__(
        self,
        spool: Spool,
        events: EventRecorder,
        session: UUID,
        handlers: Mapping[CommandName, Handler],
        answer: Callable[[Request, bytes], None],
        *,
        on_failure: Callable[[BaseException], None] = lambda _failure: None,
    ) -> None:
        """``answer`` sends the answer to a request that has no reply of its own, and must not wait.

        After ``on_failure`` the dispatcher's thread has ended.
        """
        self.stall_detector = StallDetector(COMMAND_LIMIT_S)
        self._events = events
        self._session = session
        self._handlers = handlers
        self._send = answer
        self._on_failure = on_failure
        self._records = CommandRecords(spool, events)
        self._lock = threading.Lock()
        self._current: ParsedRequest | None = None
        self._askers: list[Reply] = []
        self._recorded_retained: dict[tuple[str, bytes], None] = {}
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the current command, and stop."""
        if self._thread.ident is not None:
            self._work.put(None)
            self._thread.join()

    def submit(self, request: Request, reply: Reply | None = None, *, by: str = MQTT) -> None:
        """Accept a request. Every request is answered, whatever its content, unless it was retained.

        ``by`` says in the command's event who sent it.
        """
        if request.retained:
            self._ignore(request)
            return
        if reply is None:
            reply = partial(self._send, request)
        try:
            parsed = parse_request(request)
            with self._lock:
                known = self._accept(_Accepted(parsed, by), request.deadline_s, reply)
        except CommandError as error:
            self._refuse(request, error, reply)
        except Exception as error:  # a defect of ours must not end the thread that calls this
            log.exception("a request for '%s' failed", printable(request.command))
            self._refuse(request, _defect(error), reply)
        else:
            if known is not None:
                reply(known.to_json())

    def _accept(self, accepted: _Accepted, deadline_s: float | None, reply: Reply) -> Answer | None:
        """Start a request, or wait for the running one with the same id.

        Returns the answer if there is one already. Raises ``CommandError``.
        """
        parsed = accepted.request
        identity = parsed.command.id
        current = self._current
        if current is not None and current.command.id == identity:
            _require_same(current.digest, parsed)
            self._askers.append(reply)
            return None
        known = self._records.get(identity)
        if known is not None:
            _require_same(known.digest, parsed)
            if known.answer is None:
                raise CommandInterrupted(f"The agent stopped before '{parsed.name}' was finished.")
            return known.answer
        if current is not None:
            raise CommandBusy(f"'{current.name}' is being carried out.")
        if deadline_s is not None and time.monotonic() >= deadline_s:
            raise CommandExpired(f"'{parsed.name}' arrived after it had expired.")
        self._current, self._askers = parsed, [reply]
        self._work.put(lambda: self._carry_out(accepted))
        return None

    def _run(self) -> None:
        try:
            while (work := self._work.get()) is not None:
                with self.stall_detector.work():
                    work()
        except BaseException as failure:
            log.critical("the command thread failed", exc_info=failure)
            self._on_failure(failure)

    def _carry_out(self, accepted: _Accepted) -> None:
        """Carry out a command. Whatever goes wrong, the senders get an answer and the next command can run."""
        parsed = accepted.request
        try:
            answer = self._answer(parsed.name, parsed.command.id, *self._handle(parsed))
            payload = answer.to_json()
        except Exception as error:  # what a handler returned cannot be sent
            log.exception("the answer to '%s' failed", parsed.name)
            report = ErrorReport.from_error(_defect(error))
            answer = self._answer(parsed.name, parsed.command.id, AnswerState.FAILED, report, {})
            payload = answer.to_json()
        try:
            self._record(accepted, answer)
            self._records.keep(parsed.command.id, CommandRecord(digest=parsed.digest, answer=answer))
        except EdgeAgentError as error:
            # The command was carried out, and the answer goes out; after a restart the id counts as interrupted.
            log.error("%s", error)  # noqa: TRY400 - an expected state, not a traceback
        except Exception:
            log.exception("the command '%s' could not be recorded", parsed.name)
        with self._lock:
            askers, self._askers, self._current = self._askers, [], None
        for reply in askers:
            try:
                reply(payload)
            except Exception:  # the next command must not suffer for it
                log.exception("the answer to '%s' could not be sent", parsed.name)

    def _handle(self, parsed: ParsedRequest) -> tuple[AnswerState, ErrorReport | None, Data]:
        try:
            self._records.keep(parsed.command.id, CommandRecord(digest=parsed.digest))
            return AnswerState.DONE, None, self._handlers[parsed.name](parsed.command)
        except CommandError as error:
            return AnswerState.REFUSED, ErrorReport.from_error(error), {}
        except EdgeAgentError as error:
            return AnswerState.FAILED, ErrorReport.from_error(error), {}
        except Exception as error:  # a defect of ours must neither end the dispatcher nor leave the sender waiting
            log.exception("the command '%s' failed", parsed.name)
            return AnswerState.FAILED, ErrorReport.from_error(_defect(error)), {}

    def _record(self, accepted: _Accepted, answer: Answer) -> None:
        parsed, done = accepted.request, answer.state is AnswerState.DONE
        self._events.record(
            EventKind.COMMAND_DONE if done else EventKind.COMMAND_REFUSED,
            f"The command '{parsed.name}' was {'carried out' if done else 'not carried out'}.",
            code=None if answer.error is None else answer.error.code,
            command=parsed.name.value,
            command_id=str(parsed.command.id),
            by=accepted.by,
        )

    def _refuse(self, request: Request, error: CommandError, reply: Reply) -> None:
        report = ErrorReport.from_error(error)
        answer = self._answer(request.command, request_id(request.payload), AnswerState.REFUSED, report, {})
        reply(answer.to_json())

    def _ignore(self, request: Request) -> None:
        """Record a retained command once: it arrives again with each connection."""
        if not request.payload:
            # The topic was cleared. A command that is retained there again is to be recorded.
            cleared = [identity for identity in self._recorded_retained if identity[0] == request.command]
            for identity in cleared:
                del self._recorded_retained[identity]
            return
        identity = (request.command, hashlib.sha256(request.payload).digest())
        if identity in self._recorded_retained or len(self._recorded_retained) >= _RETAINED_MAX:
            return
        self._recorded_retained[identity] = None
        self._work.put(lambda: self._record_ignored(printable(request.command)))

    def _record_ignored(self, command: str) -> None:
        error = CommandRetained(f"A retained command '{command}' was ignored.")
        try:
            self._events.record(EventKind.COMMAND_IGNORED, error.message, code=error.code, command=command)
        except Exception:
            log.exception("that a retained command was ignored could not be recorded")

    def _answer(
        self, command: str, identity: UUID | None, state: AnswerState, error: ErrorReport | None, data: Data
    ) -> Answer:
        return Answer(
            id=identity,
            site=self._events.topics.site,
            device=self._events.topics.device,
            session=self._session,
            command=printable(command),
            at=datetime.now(UTC),
            state=state,
            error=error,
            data=data,
        )


def _require_same(digest: str, parsed: ParsedRequest) -> None:
    if digest != parsed.digest:
        raise CommandInvalid("This id was used for another request before.")


def _defect(error: Exception) -> CommandError:
    return CommandError(f"{type(error).__name__}: {error}.")
