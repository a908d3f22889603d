"""Safe mode: a connection that reports why the agent cannot run with its configuration.

Otherwise a device with a mistake in its file would restart again and again, and look dead from outside.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from pydantic import ValidationError
from uuid_utils.compat import uuid7

from edge_agent.commands.parsing import printable, request_id
from edge_agent.config import DeviceSettings, parse_config, read_config_text
from edge_agent.contracts import Answer, AnswerState, Check, CheckState, ErrorReport, Health, StatusState, Topics
from edge_agent.errors import AgentSafeMode, ConfigError, EdgeAgentError
from edge_agent.mqtt import MqttSettings, Publisher, Request
from edge_agent.settings import Settings
from edge_agent.spool import MemorySpool
from edge_agent.web.settings import WebSettings

log = logging.getLogger(__name__)

LAST_GOOD = "last-good-agent.toml"
"""In the default state folder, whatever the configuration says: a copy of the last configuration that worked."""

_SPOOL_BYTES = 2**20


class Connection(Settings):
    """The part of a configuration that is needed to connect."""

    device: DeviceSettings
    mqtt: MqttSettings = MqttSettings()


class PagePart(Settings):
    """The part of a configuration that is needed to serve the microscope page."""

    device: DeviceSettings
    web: WebSettings = WebSettings()


def keep_last_good(config: Path, folder: Path) -> None:
    """Keep a copy of a configuration that works. A failure is only logged: nothing depends on the copy."""
    kept, new = folder / LAST_GOOD, folder / f"{LAST_GOOD}.new"
    try:
        content = config.read_bytes()
        if kept.is_file() and kept.read_bytes() == content:
            return
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        new.unlink(missing_ok=True)
        new.write_bytes(content)
        new.chmod(0o640)
        new.replace(kept)
    except OSError as error:
        log.warning("a copy of the configuration could not be kept in %s: %s", folder, error.strerror)


def find_connection(config: Path, folder: Path) -> Connection | None:
    """Device and broker from the broken file, else from the last one that worked; None if neither has them."""
    return _find_part(Connection, config, folder)


def find_page(config: Path, folder: Path) -> PagePart | None:
    """Settings of the microscope page from the broken file, else from the last one that worked; None if it is off."""
    found = _find_part(PagePart, config, folder)
    return found if found is not None and found.web.enabled else None


Part = TypeVar("Part", bound=Settings)


def _find_part(part: type[Part], config: Path, folder: Path) -> Part | None:
    for path in (config, folder / LAST_GOOD):
        try:
            # As the agent itself reads it, so that whatever is wrong with it is one error here as well.
            values: dict[str, Any] = parse_config(path, read_config_text(path))
            return part(**{name: values[name] for name in part.model_fields if name in values})
        except (ConfigError, ValidationError, TypeError) as error:
            log.debug("%s does not have what is needed: %s", path, error)
    return None


class SafeMode:
    """Connects if that is possible. Reads no frame, and leaves the spool with its messages alone."""

    def __init__(
        self,
        problem: EdgeAgentError,
        connection: Connection | None,
        *,
        on_failure: Callable[[BaseException], None] = lambda _failure: None,
    ) -> None:
        self._problem = problem
        self._session = uuid7()
        self._publisher: Publisher | None = None
        if connection is None:
            log.error(
                "safe mode, and no configuration names a broker: nothing can be reported", extra={"code": problem.code}
            )
            return
        self._topics = Topics(connection.device.site, connection.device.id)
        try:
            self._publisher = Publisher(
                connection.mqtt,
                self._topics,
                MemorySpool(_SPOOL_BYTES),
                self._session,
                on_request=self._refuse,
                on_failure=on_failure,
            )
        except ConfigError as error:
            log.error("safe mode, and the broker cannot be reached: %s", error)  # noqa: TRY400 - expected, no traceback

    @property
    def problem(self) -> EdgeAgentError:
        """The problem that keeps the agent from running."""
        return self._problem

    def start(self) -> None:
        """Connect, and report the problem."""
        log.error("safe mode, nothing is read: %s", self._problem)
        if self._publisher is None:
            return
        health = Health(
            site=self._topics.site,
            device=self._topics.device,
            session=self._session,
            at=datetime.now(UTC),
            state=CheckState.DEGRADED,
            checks=(Check.from_error("configuration", self._problem),),
        )
        self._publisher.set_retained(self._topics.health, health.to_json())
        self._publisher.set_status(StatusState.DEGRADED, AgentSafeMode.code)
        self._publisher.start()

    def stop(self) -> None:
        """Disconnect."""
        if self._publisher is not None:
            self._publisher.stop()

    def _refuse(self, request: Request) -> None:
        """Refuse a command, with the reason."""
        if self._publisher is None or request.retained:
            return
        answer = refusal(request, self._problem, self._topics, self._session)
        self._publisher.answer(request, answer.to_json())


def refusal(request: Request, problem: EdgeAgentError, topics: Topics, session: UUID) -> Answer:
    """The answer to a command in safe mode."""
    return Answer(
        id=request_id(request.payload),
        site=topics.site,
        device=topics.device,
        session=session,
        command=printable(request.command),
        at=datetime.now(UTC),
        state=AnswerState.REFUSED,
        error=ErrorReport.from_error(AgentSafeMode(f"The agent is in safe mode: {problem.code}.")),
        data={},
    )
