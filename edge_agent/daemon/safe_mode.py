"""What runs where the configuration does not let the agent run: a connection that says what is wrong.

A device whose file has a mistake would otherwise be started over and over, and from afar look dead.
"""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from uuid_utils.compat import uuid7

from edge_agent.commands.parsing import printable, request_id
from edge_agent.config import DeviceSettings
from edge_agent.contracts import Answer, AnswerState, Check, CheckState, ErrorReport, Health, StatusState, Topics
from edge_agent.errors import AgentSafeMode, ConfigError, EdgeAgentError
from edge_agent.mqtt import MqttSettings, Publisher, Request
from edge_agent.settings import Settings
from edge_agent.spool import MemorySpool

log = logging.getLogger(__name__)

LAST_GOOD = "last-good-agent.toml"
"""In the state folder: the file that the agent ran by last. It holds no secret, for those have files of their own."""

_SPOOL_BYTES = 2**20


class Connection(Settings):
    """As much of a configuration as it takes to be heard."""

    device: DeviceSettings
    mqtt: MqttSettings = MqttSettings()


def keep_last_good(config: Path, folder: Path) -> None:
    """Keep a copy of a configuration that works. One that cannot be kept is logged: nothing depends on it."""
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
    """Device and broker of the broken file; else of the file that worked last; None if neither tells."""
    for path in (config, folder / LAST_GOOD):
        if not path.is_file():
            continue
        try:
            values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
            return Connection(**{name: values[name] for name in ("device", "mqtt") if name in values})
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError, TypeError) as error:
            log.debug("%s does not tell the broker: %s", path, error)
    return None


class SafeMode:
    """Connected where that is possible; reads no frame and touches no spool, whose messages wait."""

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
                "safe mode, and no file says where the broker is: nothing can be reported", extra={"code": problem.code}
            )
            return
        self._device = connection.device.id
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
        """What keeps the agent from running."""
        return self._problem

    def start(self) -> None:
        """Connect, and report the problem."""
        log.error("safe mode, nothing is analysed: %s", self._problem)
        if self._publisher is None:
            return
        health = Health(
            device=self._device,
            session=self._session,
            at=datetime.now(UTC),
            state=CheckState.DEGRADED,
            checks=(Check.from_error("configuration", self._problem),),
        )
        self._publisher.set_retained(self._topics.health, health.to_json())
        self._publisher.set_status(StatusState.DEGRADED, AgentSafeMode.code)
        self._publisher.start()

    def stop(self) -> None:
        """Say goodbye."""
        if self._publisher is not None:
            self._publisher.stop()

    def _refuse(self, request: Request) -> None:
        """Answer every command with the reason why it is not carried out."""
        if self._publisher is None or request.retained:
            return
        error = AgentSafeMode(f"The agent is in safe mode: {self._problem.code}.")
        answer = Answer(
            id=request_id(request.payload),
            device=self._device,
            session=self._session,
            command=printable(request.command),
            at=datetime.now(UTC),
            state=AnswerState.REFUSED,
            error=ErrorReport.from_error(error),
            data={},
        )
        self._publisher.answer(request, answer.to_json())
