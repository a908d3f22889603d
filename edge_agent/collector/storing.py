"""Stores waiting messages, batch after batch, and acknowledges only committed ones."""

from __future__ import annotations

import asyncio
import logging
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Engine

from edge_agent import __version__
from edge_agent.collector.config import CollectorConfig
from edge_agent.collector.database import database_errors
from edge_agent.collector.figures import Figures
from edge_agent.collector.pending import PendingMessages
from edge_agent.collector.retention import apply_retention
from edge_agent.collector.rows import Entry
from edge_agent.collector.schema import migrate
from edge_agent.collector.tables import results
from edge_agent.collector.writer import Writer, Written
from edge_agent.errors import DatabaseError, DatabaseRefused, SchemaNewer

log = logging.getLogger(__name__)

Returned = TypeVar("Returned")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Pauses between attempts while the database is gone; each is twice the one before."""

MAINTENANCE_S = 3600.0
OWN_FIGURES_S = 10.0

_REPEATED_LOG_S = 300.0
"""A fault that lasts is logged again after this time."""


class Storing:
    """One thread works on the database; the event loop decides what it does next."""

    def __init__(
        self, config: CollectorConfig, engine: Engine, messages: PendingMessages, figures: Figures, stop: asyncio.Event
    ) -> None:
        self._config = config
        self._engine = engine
        self._messages = messages
        self._figures = figures
        self._stop = stop
        self._writer = Writer(engine, unreadable_count=config.retention.unreadable_count)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        self._arrived = asyncio.Event()
        self._maintenance_at = self._own_figures_at = 0.0

    def wake(self) -> None:
        """Notice that something has arrived."""
        self._arrived.set()

    async def run(self) -> None:
        """Store until stopped, and then make one attempt to store the rest.

        Raises ``SchemaNewer``, and ``DatabaseRefused`` if the database does not accept the collector at the start: then
        waiting is useless.
        """
        await self._prepare()
        while not self._stop.is_set():
            await self._wait_for_messages()
            await self._store_next()
            await self._do_what_is_due()
        if self._figures.database_error is None:
            while len(self._messages) and self._figures.database_error is None:
                await self._store_next()
            await self._write_own_figures()

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()
        self._engine.dispose()

    async def _prepare(self) -> None:
        """Bring the tables up to date. Waits for a database that is not there yet."""
        before, after = await self._until_done(self._migrate, fatal=(SchemaNewer, DatabaseRefused)) or (None, None)
        if before != after:
            log.info("the tables were changed from revision %s to %s", before or "none", after)

    async def _wait_for_messages(self) -> None:
        """Wait until a batch is full, a message has waited long enough, or something else is due."""
        if not len(self._messages):
            self._arrived.clear()
            due_s = max(0.0, min(self._maintenance_at, self._own_figures_at) - time.monotonic())
            await _first_of(self._arrived.wait(), self._stop.wait(), timeout_s=due_s)
        until = time.monotonic() + self._config.batch.max_wait_ms / 1000
        while len(self._messages) < self._config.batch.max_count and not self._stop.is_set():
            self._arrived.clear()
            left_s = until - time.monotonic()
            if left_s <= 0 or not await _first_of(self._arrived.wait(), self._stop.wait(), timeout_s=left_s):
                return

    async def _store_next(self) -> None:
        pending, figures, states = self._messages.take(self._config.batch.max_count)
        entries = [*(each.entry for each in pending), *figures]
        if not entries and not states:
            return

        stored: list[Written] = []

        def write() -> Written:
            if not stored:
                stored.append(self._writer.write(entries))
            self._writer.write_states(states)
            return stored[0]

        with self._figures.batch_seconds.time():
            written = await self._until_done(write)
        if written is None:
            # Stopped meanwhile: the broker sends unacknowledged messages again.
            return
        self._count(written, entries)
        for each in pending:
            each.acknowledge()
        self._figures.acknowledged_count += len(pending)

    def _count(self, written: Written, entries: Sequence[Entry]) -> None:
        figures, now = self._figures, datetime.now(UTC)
        figures.stored_count += written.stored_count
        figures.repeated_count += written.repeated_count
        if written.refused_count:
            figures.unreadable_count["refused"] += written.refused_count
        figures.batches_count += 1
        figures.committed_at = now
        figures.waiting_count = len(self._messages)
        delays_s = [
            (now - entry.row["captured_at"]).total_seconds()
            for entry in entries
            if entry.table is results and not entry.row["replayed"]
        ]
        if delays_s:
            figures.behind_s = round(max(0.0, statistics.median(delays_s)), 3)

    async def _do_what_is_due(self) -> None:
        now = time.monotonic()
        if now >= self._own_figures_at:
            self._own_figures_at = now + OWN_FIGURES_S
            await self._write_own_figures()
        if now >= self._maintenance_at:
            self._maintenance_at = now + MAINTENANCE_S
            await self._until_done(self._maintain)

    async def _write_own_figures(self) -> None:
        figures = self._figures
        row: dict[str, Any] = {
            "instance": self._config.collector.instance,
            "software": f"leukoscope {__version__}",
            "started_at": figures.started_at,
            "seen_at": datetime.now(UTC),
            "stored_count": figures.stored_count.total(),
            "repeated_count": figures.repeated_count,
            "unreadable_count": figures.unreadable_count.total(),
            "dropped_count": figures.dropped_count,
            "retries_count": figures.retries_count,
            "behind_s": figures.behind_s,
        }
        await self._until_done(lambda: self._writer.write_own_figures(row))

    def _migrate(self) -> tuple[str | None, str | None]:
        with database_errors(self._engine):
            return migrate(self._engine)

    def _maintain(self) -> None:
        now = datetime.now(UTC)
        with database_errors(self._engine):
            self._writer.partitions.prepare_ahead(now)
            if apply_retention(self._engine, self._config.retention, now):
                self._writer.partitions.forget()

    async def _until_done(
        self, work: Callable[[], Returned], fatal: tuple[type[DatabaseError], ...] = ()
    ) -> Returned | None:
        """Do ``work`` in the database's thread, and repeat it while the database is gone. None if stopped meanwhile."""
        figures = self._figures
        pause_s, failed_at, logged_at = FIRST_PAUSE_S, 0.0, 0.0
        while True:
            try:
                done = await asyncio.get_running_loop().run_in_executor(self._thread, work)
            except DatabaseError as error:
                if isinstance(error, fatal):
                    raise
                now = time.monotonic()
                failed_at = failed_at or now
                is_new = figures.database_error is None or figures.database_error.code != error.code
                if is_new or now - logged_at > _REPEATED_LOG_S:
                    logged_at = now
                    log.error("%s", error)  # noqa: TRY400 - the error says it all; its traceback does not help
                figures.database_error = error
                figures.retries_count += 1
            else:
                if figures.database_error is not None:
                    log.warning("the database is back after %.0f s", time.monotonic() - failed_at)
                    figures.database_error = None
                return done
            if self._stop.is_set():
                return None
            figures.waiting_count = len(self._messages)
            await _first_of(self._stop.wait(), timeout_s=pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


async def _first_of(*waits: Any, timeout_s: float) -> bool:  # noqa: ANN401 - coroutines of any kind
    """Wait until one of them is over. False after the time-out."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        for task in tasks:
            task.cancel()
