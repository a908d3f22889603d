"""Publishes the spool's messages and the device's state, and reconnects as long as needed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from uuid import UUID

from edge_agent.contracts import StatusState, Topics
from edge_agent.mqtt.broker_link import BrokerLink
from edge_agent.mqtt.broker_state import BrokerState, BrokerStateReporter
from edge_agent.mqtt.calls import Calls
from edge_agent.mqtt.delivery import Delivery
from edge_agent.mqtt.requests import Request
from edge_agent.mqtt.secret_files import exposed_secrets
from edge_agent.mqtt.settings import MqttSettings
from edge_agent.spool.base import Spool
from edge_agent.watchdog import StallDetector

log = logging.getLogger(__name__)

STUCK_S = 60.0
"""The thread never waits for the network, but the disk may take many seconds."""

GOODBYE_S = 1.0
"""Wait for the acknowledgement of the last status."""


class Publisher:
    """One connection to one broker at a time, and the thread that owns it.

    A message leaves the spool only when the broker has acknowledged it, or is quarantined; see ``SpoolFlow``.

    All state belongs to the publisher's own thread. The public methods only post calls to it.
    """

    def __init__(  # noqa: PLR0913 - its callbacks go to different parts of the agent
        self,
        settings: MqttSettings,
        topics: Topics,
        spool: Spool,
        session: UUID,
        *,
        replay_rate_hz: float = 20.0,
        on_state: Callable[[BrokerState], None] = lambda _state: None,
        on_request: Callable[[Request], None] = lambda _request: None,
        on_desired: Callable[[bytes], None] = lambda _payload: None,
        listeners: Mapping[str, Callable[[bytes], None]] = MappingProxyType({}),
        on_failure: Callable[[BaseException], None] = lambda _failure: None,
    ) -> None:
        """Raises ``ConfigError`` if password or certificates cannot be read.

        The callbacks are called in the publisher's thread and must not wait; after ``on_failure`` it has ended.
        ``on_desired`` gets each payload of ``model/desired``, unchecked: empty if the topic was cleared. ``listeners``
        get the payloads of other programs' topics, by topic; if the broker refuses these, it is no problem.
        """
        self.stall_detector = StallDetector(STUCK_S)
        self._spool = spool
        self._drain_s = settings.drain_s
        self._on_failure = on_failure
        self._calls = Calls()
        self._reporter = BrokerStateReporter(on_state)
        self._delivery = Delivery(
            settings,
            topics,
            spool,
            session,
            replay_rate_hz=replay_rate_hz,
            on_problem=self._reporter.set_problem,
            listens_to=listeners,
        )
        self._link = BrokerLink(
            settings,
            topics,
            session,
            self._delivery,
            self._reporter,
            on_request=on_request,
            listeners={**listeners, topics.model_desired: on_desired},
            on_change=self.wake,
        )
        self._stop_at: float | None = None
        self._thread = threading.Thread(target=self._run_and_report, name="publisher", daemon=True)
        for exposed in exposed_secrets(settings):
            log.warning("%s", exposed, extra={"code": exposed.code})

    @property
    def broker(self) -> BrokerState:
        """The last known state of the connection."""
        return self._reporter.state

    def start(self) -> None:
        """Start to connect, and return at once."""
        self._calls.open()
        self._thread.start()

    def wake(self) -> None:
        """Check the spool for new messages."""
        self._calls.wake()

    def set_status(self, state: StatusState, code: str | None = None) -> None:
        """Publish a new status now, or as soon as there is a connection."""
        self._calls.put(lambda: self._delivery.set_status(state, code))

    def set_retained(self, topic: str, payload: bytes, *, expiry_s: int | None = None) -> None:
        """Publish a retained message now and after each connect; the broker forgets it after ``expiry_s``."""
        self._calls.put(lambda: self._delivery.outbox.put_retained(topic, payload, expiry_s))

    def send_metrics(self, payload: bytes) -> None:
        """Publish metrics with QoS 0; while there is no connection the newest are kept."""
        self._calls.put(lambda: self._delivery.outbox.put_metrics(payload))

    def answer(self, request: Request, payload: bytes) -> None:
        """Answer a request; while there is no connection the newest answers are kept."""
        topic, correlation = request.answer_topic, request.correlation
        self._calls.put(lambda: self._delivery.outbox.put_answer(topic, payload, correlation))

    def take_over(self, former: Publisher) -> None:
        """Send the answers that ``former``, which has been stopped, could not, or that came then. Before ``start``.

        Whoever asked waits for them; all else is published anew, or waits in the spool.
        """
        former._run_calls()
        self._delivery.outbox.take_over_answers(former._delivery.outbox)

    def stop(self) -> None:
        """Wait up to ``drain_s`` for the broker to accept the rest, publish ``disconnected``, and disconnect.

        A broker that does not read costs at most two more seconds; an unfinished connection is not waited for.
        """
        if self._thread.ident is None:
            return
        self._calls.put(self._begin_to_stop)
        self._thread.join()

    def _run_and_report(self) -> None:
        try:
            self._run()
        except BaseException as failure:
            log.critical("the publisher's thread failed", exc_info=failure)
            self._on_failure(failure)
        finally:
            self._link.close()
            self._calls.close()

    def _run(self) -> None:
        while not self._finished():
            self._wait_until(self._due_at())
            with self.stall_detector.work():
                self._link.serve()
                self._run_calls()
                self._link.check_clock()
                self._delivery.repeat_status_if_due()
                self._delivery.send_waiting()
        self._say_goodbye()
        with self.stall_detector.work():
            self._spool.requeue_all()
            left = self._spool.stats().waiting_count
        if left:
            log.warning("stopped with %d messages that the broker has not acknowledged", left)

    def _due_at(self) -> float:
        moments = [self._delivery.due_at(), self._link.due_at(), self._stop_at]
        return min(moment for moment in moments if moment is not None)

    def _wait_until(self, moment: float) -> None:
        """Wait until then, or until there is a call, or the connection's socket is ready."""
        timeout_s = moment - time.monotonic()
        connection = self._link.connection
        if connection is None:
            self._calls.wait(timeout_s, None, writes=False)
        else:
            self._calls.wait(timeout_s, connection.socket, writes=connection.wants_write)

    def _run_calls(self) -> None:
        while (call := self._calls.next()) is not None:
            call()
            self._delivery.send_waiting()

    def _begin_to_stop(self) -> None:
        self._stop_at = time.monotonic() + self._drain_s

    def _finished(self) -> bool:
        if self._stop_at is None:
            return False
        self._delivery.settle()
        stats = self._spool.stats()
        drained = not (stats.waiting_count or stats.in_flight_count) and self._delivery.idle
        return drained or not self.broker.connected or time.monotonic() >= self._stop_at

    def _say_goodbye(self) -> None:
        with self.stall_detector.work():
            # Nothing may follow the last status.
            self._run_calls()
        number = self._delivery.send_goodbye()
        until = time.monotonic() + GOODBYE_S
        while self._delivery.awaits(number) and time.monotonic() < until:
            self._wait_until(until)
            with self.stall_detector.work():
                self._link.serve()
        self._link.close(farewell=True)
