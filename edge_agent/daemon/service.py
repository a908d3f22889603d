"""The agent as a service: starts, handles signals, notifies systemd, and enters safe mode if it cannot start."""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.agent import Agent, PageDevice
from edge_agent.config import Config, load_config
from edge_agent.daemon.notify import Notifier
from edge_agent.daemon.safe_mode import PagePart, SafeMode, find_connection, find_page, keep_last_good
from edge_agent.daemon.safe_mode_page import SafeModeDevice
from edge_agent.daemon.signals import SignalQueue
from edge_agent.daemon.watchdog_feeder import WatchdogFeeder
from edge_agent.errors import (
    ConfigError,
    DiskFull,
    EdgeAgentError,
    PrometheusMissing,
    PrometheusPortTaken,
    SpoolBusy,
    SpoolError,
    WebMissing,
    WebPortTaken,
)
from edge_agent.spool.settings import default_state_folder
from edge_agent.toml_file.regular_file import read_regular_file
from edge_agent.watchdog import StallDetector

if TYPE_CHECKING:
    from edge_agent.monitoring.prometheus.exporter import Exporter
    from edge_agent.monitoring.prometheus.settings import PrometheusSettings
    from edge_agent.web.server import MicroscopePage
    from edge_agent.web.settings import WebSettings

log = logging.getLogger("edge_agent")

RELOAD_MAX_S = 60.0
"""A reload that takes longer is stuck; a camera that hangs or a broker that does not answer takes less."""
RELOAD_POLL_S = 0.5
RETRY_S = 60.0
"""How often safe mode checks whether another attempt makes sense."""

PASSING = (SpoolError, DiskFull, PrometheusPortTaken, WebPortTaken)
"""Problems that may go away without a change to the configuration."""


@dataclass(frozen=True, slots=True)
class Service:
    """One run of the process."""

    config: Path
    signals: SignalQueue
    notifier: Notifier
    set_level: Callable[[str], None]
    """Sets the log's level, named as in ``[log]``."""
    has_safe_mode: bool
    """Whether there is a safe mode. Without it, an error at the start is raised, as expected in a terminal."""

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, or until there are no more frames. Raises the failure of a thread."""
        while (problem := self._run_or_fail_to_start()) is not None:
            if not self._wait_in_safe_mode(problem):
                return

    def _run_or_fail_to_start(self) -> EdgeAgentError | None:
        """Run to the end, or return why the agent cannot start."""
        with contextlib.ExitStack() as stack:
            try:
                agent = self._begin(stack)
            except EdgeAgentError as problem:
                # If another agent runs, a second one with its name would disconnect it from the broker.
                if not self.has_safe_mode or isinstance(problem, SpoolBusy):
                    raise
                return problem
            self._serve(agent)
        return None

    def _begin(self, stack: contextlib.ExitStack) -> Agent:
        """Create everything, then start it.

        Each part goes on the stack at once, so that a failure stops all of them.
        """
        settings = load_config(self.config)
        self.set_level(settings.log.level)
        exporter = make_exporter(settings.prometheus) if settings.prometheus.enabled else None
        if exporter is not None:
            stack.callback(exporter.stop)
        page = make_microscope_page(settings.web, settings.state.folder) if settings.web.enabled else None
        if page is not None:
            stack.callback(page.stop)
        agent = Agent(
            settings,
            on_result=page.update if page is not None else None,
            on_health=exporter.set_health if exporter is not None else lambda _health: None,
            on_metrics=exporter.set_metrics if exporter is not None else lambda _metrics: None,
        )
        stack.callback(agent.stop)
        if page is not None:
            page.start(PageDevice(agent))
        agent.start()
        self._keep_last_good(settings)
        return agent

    def _serve(self, agent: Agent) -> None:
        _spare_what_stays()
        self.notifier.ready(agent.summary)
        feeder = WatchdogFeeder(self.notifier)
        try:
            while not agent.wait(0):
                feeder.check(agent)
                match self.signals.wait():
                    case signal.SIGHUP:
                        self.notifier.reloading()
                        self._reload(agent, feeder)
                        self.notifier.ready(agent.summary)
                    case signal.SIGUSR1:
                        agent.reading.trigger()
                    case signal.SIGUSR2:
                        agent.reading.look_for_camera()
                    case signal.SIGTERM | signal.SIGINT:
                        log.info("stopping")
                        break
        finally:
            self.notifier.stopping()
            agent.stop()
        counts, left = agent.counts, agent.spool.stats()
        log.info(
            "stopped: %d readings, %d refused; %d messages waiting",
            counts.readings_count,
            counts.refused_count,
            left.waiting_count,
        )

    def _reload(self, agent: Agent, feeder: WatchdogFeeder) -> None:
        """Reload in another thread: it may wait for a camera or a broker longer than the watchdog does."""
        detector = StallDetector(RELOAD_MAX_S)

        def reload() -> None:
            with detector.work():
                self._read_again(agent)

        with ThreadPoolExecutor(1, "reload") as pool:
            reloading = pool.submit(reload)
            while not reloading.done():
                if not detector.stuck:
                    feeder.check(agent)
                wait([reloading], RELOAD_POLL_S)
            reloading.result()

    def _read_again(self, agent: Agent) -> None:
        try:
            settings: Config = load_config(self.config)
            agent.reload(settings)
        except EdgeAgentError as error:
            log.error("the old configuration stays in force: %s", error)  # noqa: TRY400 - expected, not a traceback
            return
        self.set_level(settings.log.level)
        self._keep_last_good(settings)

    def _keep_last_good(self, settings: Config) -> None:
        # Safe mode looks where no configuration has to be read to find it.
        kept = settings.state.folder
        keep_last_good(self.config, _default_folder(kept) if self.has_safe_mode else kept)

    def _wait_in_safe_mode(self, problem: EdgeAgentError) -> bool:
        """Report the problem until it may be solved. False if the process is to end instead."""
        state = _default_folder(self.config.absolute().parent)
        text = self._text()
        failures: list[BaseException] = []
        safe_mode = SafeMode(problem, find_connection(self.config, state), on_failure=failures.append)
        with _running(safe_mode), _showing(problem, find_page(self.config, state), state):
            status = f"safe mode: {str(problem).splitlines()[0]}"
            self.notifier.ready(status)
            feeder = WatchdogFeeder(self.notifier)
            due_at = time.monotonic() + RETRY_S
            while True:
                if failures:
                    raise failures[0]
                feeder.feed()
                match self.signals.wait():
                    case signal.SIGHUP:
                        self.notifier.reloading()
                        return True
                    case signal.SIGTERM | signal.SIGINT:
                        self.notifier.stopping()
                        log.info("stopping")
                        return False
                if time.monotonic() >= due_at:
                    due_at = time.monotonic() + RETRY_S
                    if isinstance(problem, PASSING) or self._text() != text:
                        return True

    def _text(self) -> bytes | None:
        try:
            # A pipe in its place would be waited for without end.
            return read_regular_file(self.config)
        except OSError:
            return None


def _default_folder(otherwise: Path) -> Path:
    """The default state folder, or ``otherwise`` for a user who has none."""
    try:
        return default_state_folder()
    except ConfigError:
        return otherwise


def _spare_what_stays() -> None:
    """Exclude everything loaded so far from Python's full garbage collections.

    Collecting all of it takes 36 ms on a fast computer, in the middle of a reading.
    """
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def _running(safe_mode: SafeMode) -> Iterator[None]:
    safe_mode.start()
    try:
        yield
    finally:
        safe_mode.stop()


@contextlib.contextmanager
def _showing(problem: EdgeAgentError, part: PagePart | None, state: Path) -> Iterator[None]:
    """Show the problem on the microscope page, if there is one and it can be served."""
    with contextlib.ExitStack() as stack:
        if part is not None:
            try:
                page = make_microscope_page(part.web, state)
                stack.callback(page.stop)
                page.start(SafeModeDevice(part.device, problem))
            except EdgeAgentError as error:
                log.error("safe mode, and the microscope page cannot be served: %s", error)  # noqa: TRY400 - expected
        yield


def make_microscope_page(settings: WebSettings, state_folder: Path | None = None) -> MicroscopePage:
    """Raises ``WebMissing``, and ``ConfigError`` if the access file cannot be used."""
    try:
        from edge_agent.web.server import MicroscopePage
    except ImportError as error:
        raise WebMissing(f"The microscope page cannot be served: {error}.") from error
    return MicroscopePage(settings, state_folder)


def make_exporter(settings: PrometheusSettings) -> Exporter:
    """Raises ``PrometheusMissing``, ``PrometheusPortTaken``."""
    try:
        from edge_agent.monitoring.prometheus.exporter import Exporter
    except ImportError as error:
        raise PrometheusMissing(f"The Prometheus endpoint cannot be served: {error}.") from error
    return Exporter(settings)
