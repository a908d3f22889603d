"""Decides which message on ``model/desired`` is to be followed, and interrupts the work on an earlier one."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from edge_agent.contracts import EventKind
from edge_agent.contracts.error_report import ErrorReport
from edge_agent.contracts.rollout import ModelDesired
from edge_agent.errors import RolloutError
from edge_agent.rollout.desired import read_desired, require_new
from edge_agent.rollout.operations import RolloutOperations
from edge_agent.rollout.status import StatusReport

log = logging.getLogger(__name__)


class Superseded(Exception):
    """Another message came, or the agent stops."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The next work of the roll-out's thread."""

    number: int
    """Number of the newest decision."""
    wanted: ModelDesired | None
    """The message to follow; None if the request was withdrawn."""
    is_new: bool
    """Whether that decision is new: nobody has begun to follow it."""
    look: bool
    """Whether the activation may have changed."""


class Inbox:
    """Any thread may submit messages, call ``look_again`` and ``stop``; the rest belongs to the roll-out's thread."""

    def __init__(
        self,
        desired: ModelDesired | None,
        accepted_at: datetime | None,
        report: StatusReport,
        operations: RolloutOperations,
    ) -> None:
        """``desired`` was accepted before the agent started, and is followed first."""
        self._report = report
        self._do = operations
        self._changed = threading.Condition()
        self._wanted = desired
        self._accepted_at = accepted_at
        self._number = 1
        """Number of the newest decision; ``_followed`` is that of the decision that the thread follows."""
        self._followed = 0
        self._look = False
        self._stopping = False
        self._cancel: Callable[[], None] | None = None
        self._told: set[str] = set()
        """Codes of refused messages since one was accepted."""
        self._unrecorded: deque[RolloutError] = deque()
        """Refused messages that are still to be recorded: the thread that submits them must not wait for the disk."""

    @property
    def accepted_at(self) -> datetime | None:
        """When the newest accepted message was issued."""
        return self._accepted_at

    def submit(self, payload: bytes) -> None:
        """Take a message that came on ``model/desired``. Never waits and never raises, whatever its content."""
        try:
            with self._changed:
                if payload:
                    self._accept(payload)
                else:
                    self._want(None)
                self._report.change(message_error=None)
        except RolloutError as error:
            self._refuse(error)
        except Exception as error:  # a defect of ours must not end the thread that calls this
            log.exception("a message on model/desired failed")
            self._refuse(RolloutError(f"{type(error).__name__}."))

    def look_again(self) -> None:
        """The activation may have changed."""
        with self._changed:
            self._look = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Interrupt the current work, and let ``next_turn`` end."""
        with self._changed:
            self._stopping = True
            self._interrupt()

    def wake(self) -> None:
        """Let ``pause`` check whether its condition is fulfilled. Any thread may call it."""
        with self._changed:
            self._changed.notify_all()

    def next_turn(self) -> Turn | None:
        """Wait until there is something to do; None at the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._unrecorded or self._followed != self._number or self._look
            )
            if self._stopping and not self._unrecorded:
                return None
            look, self._look = self._look, False
            return Turn(self._number, self._wanted, self._number != self._followed, look)

    def follow(self, turn: Turn) -> None:
        """From now on, anything newer than ``turn`` supersedes it."""
        self._followed = turn.number

    def record_refused_messages(self) -> None:
        """Record an event for each message that was refused since the last call."""
        while self._unrecorded:
            error = self._unrecorded.popleft()
            message = f"A message on model/desired is not followed: {error.message}"
            self._do.record(EventKind.MODEL_REFUSED, message, code=error.code)

    def pause(self, seconds: float | None, *, unless: Callable[[], bool] = lambda: False) -> None:
        """Wait for ``seconds``, with None without end. Raises ``Superseded`` once something else is wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._superseded or unless(), seconds)
        self.require_wanted()

    def require_wanted(self) -> None:
        """Raise ``Superseded`` if something else is wanted, or the agent stops."""
        if self._superseded:
            raise Superseded

    def require_running(self) -> None:
        """Raise ``Superseded`` if the agent stops."""
        if self._stopping:
            raise Superseded

    @contextlib.contextmanager
    def cancelled_by(self, cancel: Callable[[], None]) -> Iterator[None]:
        """Call ``cancel`` inside the block when something else is wanted."""
        with self._changed:
            self.require_wanted()
            self._cancel = cancel
        try:
            yield
        finally:
            with self._changed:
                self._cancel = None

    @property
    def _superseded(self) -> bool:
        return self._stopping or self._number != self._followed

    def _accept(self, payload: bytes) -> None:
        desired = read_desired(payload)
        if desired == self._wanted:
            # The message comes again with each connection.
            return
        now, reliable = self._do.now()
        require_new(desired, self._accepted_at, now=now if reliable else None)
        self._accepted_at = desired.issued_at
        self._told.clear()
        self._want(desired)

    def _want(self, desired: ModelDesired | None) -> None:
        if desired != self._wanted:
            self._wanted = desired
            self._number += 1
            self._interrupt()

    def _interrupt(self) -> None:
        if self._cancel is not None:
            self._cancel()
        self._changed.notify_all()

    def _refuse(self, error: RolloutError) -> None:
        with self._changed:
            first = error.code not in self._told
            self._told.add(error.code)
            count = self._report.status.messages_refused_count + 1
            self._report.change(message_error=ErrorReport.from_error(error), messages_refused_count=count)
            if first:
                # Do not record each of many: they would push everything else out of the audit log.
                self._unrecorded.append(error)
                self._changed.notify_all()
