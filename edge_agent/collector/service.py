"""The collector as a process: receives, stores, reports its state, and stops cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable

from sqlalchemy import Engine

from edge_agent.client.connection import Connection, Delivery, Subscription
from edge_agent.client.messages import Unreadable, parse
from edge_agent.collector.config import CollectorConfig
from edge_agent.collector.database import open_database, shown_url
from edge_agent.collector.exporter.endpoint import Exporter
from edge_agent.collector.exporter.fleet import Fleet
from edge_agent.collector.figures import Figures
from edge_agent.collector.pending import Pending, PendingMessages
from edge_agent.collector.rows import Entry, Origin, entry_of, unreadable_entry
from edge_agent.collector.settings import InstanceSettings
from edge_agent.collector.storing import Storing
from edge_agent.collector.tables import devices, metrics
from edge_agent.credentials import is_exposed
from edge_agent.daemon.notify import Notifier, NullNotifier
from edge_agent.errors import BrokerError, SecretExposed

log = logging.getLogger(__name__)

_STATUS_S = 5.0

_STORED = ("result/+", "event", "report", "metrics")
"""Topics of which each message goes to one collector of a group."""

_STATES = ("status", "health", "info", "model/reported")
"""Retained topics. Every collector reads them, as a shared subscription gets no retained messages. QoS 0, so that the
broker does not keep old ones for a collector that is away; it reads the newest when it comes back."""


def subscriptions(settings: InstanceSettings) -> list[Subscription]:
    """The subscriptions of a collector."""
    share = "" if settings.group is None else f"$share/{settings.group}/"
    devices_of = [f"leukoscope/v1/{site}/+" for site in settings.sites or ("+",)]
    return [
        *(Subscription(f"{share}{devices}/{each}") for devices in devices_of for each in _STORED),
        *(Subscription(f"{devices}/{each}", qos=0) for devices in devices_of for each in _STATES),
    ]


class Collector:
    """One collector. If there are several, each has its own instance name."""

    def __init__(self, config: CollectorConfig, *, notifier: Notifier | None = None) -> None:
        """Raises ``ConfigError`` if a file with a secret cannot be used."""
        self._config = config
        self._notifier = notifier or NullNotifier()
        self.figures = Figures()
        self._fleet = Fleet()
        self.engine: Engine = open_database(config.database)
        self._messages = PendingMessages()
        self._on_arrival: Callable[[], None] = lambda: None
        self._is_stopping: Callable[[], bool] = lambda: False
        own = config.collector
        self._connection = Connection(
            config.mqtt,
            subscriptions(own),
            client_id=f"leukoscope-{own.instance}",
            on_delivery=self._on_delivery,
            on_change=self._on_broker,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Collect until ``stop``; messages received by then are stored if the database is available.

        Raises ``SchemaNewer``, ``DatabaseRefused`` if the database does not accept the collector at the start, and
        ``PrometheusPortTaken``.
        """
        exporter = None
        if self._config.prometheus.enabled:
            instance = self._config.collector.instance
            exporter = Exporter(self._config.prometheus, self.figures, self._fleet, instance)
        try:
            await self._collect(stop)
        finally:
            if exporter is not None:
                exporter.stop()

    async def _collect(self, stop: asyncio.Event) -> None:
        for key, path in (("database", self._config.database), ("mqtt", self._config.mqtt)):
            if path.password_file is not None and is_exposed(path.password_file):
                log.warning("%s", SecretExposed(f"{key}.password_file {path.password_file} can be read by every user."))
        log.info("database %s", shown_url(self.engine))
        storing = Storing(self._config, self.engine, self._messages, self.figures, stop)
        self._on_arrival, self._is_stopping = storing.wake, stop.is_set
        all_stored = asyncio.Event()
        # Connect first: messages published from now on wait at the broker, even if the database is not available yet.
        link = asyncio.create_task(self._connection.run(all_stored))
        work = asyncio.create_task(storing.run())
        report = asyncio.create_task(self._report(stop))
        try:
            await asyncio.wait({link, work}, return_when=asyncio.FIRST_COMPLETED)
            if link.done():
                # Only a defect ends the task before it is told to stop.
                stop.set()
            await work
        finally:
            self._notifier.stopping()
            all_stored.set()
            report.cancel()
            await asyncio.gather(link, report, return_exceptions=True)
            storing.close()
        link.result()

    def _on_broker(self, error: BrokerError | None) -> None:
        self.figures.broker_error = error
        if error is not None:
            # The broker sends these again, and their acknowledgements would reach nobody.
            self._messages.forget_unacknowledged()

    def _on_delivery(self, delivery: Delivery) -> None:
        if self._is_stopping():
            # Unacknowledged, so the broker gives it to another collector or keeps it.
            return
        figures = self.figures
        kind, entry = self._entry(delivery)
        figures.received_count[kind] += 1
        if entry is None:
            delivery.acknowledge()
        elif entry.table is devices:
            self._messages.add_state(entry)
        elif entry.table is metrics and not delivery.qos:
            figures.dropped_count += self._messages.add_figures(entry)
        else:
            self._messages.add(Pending(entry, delivery.acknowledge))
        figures.waiting_count = len(self._messages)
        self._on_arrival()

    def _entry(self, delivery: Delivery) -> tuple[str, Entry | None]:
        """The kind of the message, and its row; no row if there is nothing to store."""
        kind = _kind(delivery.topic)
        if not delivery.payload:
            # A retained message was cleared.
            if kind == "status":
                self._fleet.forget(*delivery.topic.split("/")[2:4])
            return kind, None
        message = parse(delivery.topic, delivery.payload)
        if isinstance(message, Unreadable):
            self.figures.unreadable_count[message.fault] += 1
            origin = Origin(delivery.topic, "", "", delivery.received_at, delivery.payload)
            return kind, unreadable_entry(origin, message.fault, message.reason)
        self._fleet.take(message, retained=delivery.retained, expiry_s=delivery.expiry_s)
        origin = Origin(delivery.topic, message.site, message.device, delivery.received_at, delivery.payload)
        return kind, entry_of(origin, message.body)

    async def _report(self, stop: asyncio.Event) -> None:
        """Report the collector's state to systemd, and that it is alive."""
        self._notifier.ready(self._status())
        interval_s = min(_STATUS_S, (self._notifier.watchdog_s or 2 * _STATUS_S) / 2)
        while not stop.is_set():
            self._notifier.alive()
            self._notifier.status(self._status())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), interval_s)

    def _status(self) -> str:
        figures = self.figures
        problems = [str(error) for error in (figures.database_error, figures.broker_error) if error is not None]
        said = f"{figures.stored_count.total()} stored, {figures.waiting_count} waiting"
        return "; ".join([said, *problems])


def _kind(topic: str) -> str:
    parts = topic.split("/")
    known = {"result", "event", "report", "metrics", "status", "health", "info", "model"}
    return parts[4] if len(parts) > 4 and parts[4] in known else "other"


async def run_until_signal(collector: Collector) -> None:
    """Run until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    await collector.run(stop)
