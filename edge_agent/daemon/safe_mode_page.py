"""The microscope page of a device in safe mode: it says what is wrong, and what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from uuid_utils.compat import uuid7

from edge_agent import __version__
from edge_agent.acquisition.frame_requests import FrameRequest
from edge_agent.config import DeviceSettings
from edge_agent.contracts import Topics
from edge_agent.daemon.safe_mode import refusal
from edge_agent.errors import AgentSafeMode, EdgeAgentError
from edge_agent.mqtt import Request
from edge_agent.specimens.archive import ReportArchive
from edge_agent.web.device import DeviceState, Problem

log = logging.getLogger(__name__)


class SafeModeDevice:
    """Shows the problem, and refuses every command."""

    def __init__(self, identity: DeviceSettings, problem: EdgeAgentError) -> None:
        self._identity = identity
        self._problem = problem
        self._session = uuid7()

    @property
    def collection(self) -> None:
        """None: only the configuration says where the collection is."""
        return

    @property
    def adaptation(self) -> None:
        """None: there are no frames to fit to."""
        return

    @property
    def reports(self) -> ReportArchive:
        """None: the spool is left alone."""
        return ReportArchive(lambda _prefix: {})

    @property
    def analysing(self) -> bool:
        """False: nothing is read."""
        return False

    def state(self) -> DeviceState:
        """The problem, and nothing else."""
        problem = self._problem
        return DeviceState(
            device=self._identity.id,
            site=self._identity.site,
            software=__version__,
            session=self._session,
            at=datetime.now(UTC),
            paused=False,
            streaming=False,
            safe_mode=True,
            problems=(
                Problem(part="configuration", code=problem.code, message=problem.message, remedy=problem.remedy),
            ),
            trigger="triggered",
            stale_after_s=None,
            readings_count=0,
            waiting_count=0,
            model=None,
            model_version=None,
            demonstration=False,
            provisional=False,
            models=(),
            quality_limits={},
            slide=None,
        )

    def submit(self, request: Request, reply: Callable[[bytes], None], *, by: str) -> None:  # noqa: ARG002 - the log has no place for it
        """Refuse the command."""
        reply(refusal(request, self._problem, Topics(self._identity.site, self._identity.id), self._session).to_json())

    def record_failed_logins(self, count: int) -> None:
        """Write to the log only: no events are recorded in safe mode."""
        log.warning("%d log-ins to the microscope page failed", count)

    def look_on(self) -> FrameRequest:
        """Raises ``AgentSafeMode``: there is no camera."""
        raise AgentSafeMode(f"The agent is in safe mode: {self._problem.code}.")

    def look_away(self, request: FrameRequest) -> None:
        """Nothing to end: nobody looks on."""
