"""A device for the microscope page's server, without an agent behind it."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from edge_agent.acquisition.frame_requests import FrameRequest, FrameRequests
from edge_agent.adaptation.adaptation import Adaptation
from edge_agent.collection.collection import Collection
from edge_agent.mqtt import Request
from edge_agent.specimens.archive import ReportArchive
from edge_agent.specimens.tally import Tally
from edge_agent.web.device import DeviceState, ModelOption, Problem

SESSION = UUID("01a22689-4bf6-77ad-8ab0-eeb9f00c0419")


class FakeDevice:
    """State and answers are the test's to set; what was submitted is kept."""

    def __init__(self) -> None:
        self.paused = False
        self.busy = False
        self.problems: tuple[Problem, ...] = ()
        self.answer: dict[str, object] = {"state": "done", "error": None, "data": {}}
        self.submitted: queue.SimpleQueue[tuple[Request, str]] = queue.SimpleQueue()
        self.failed_logins: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.frames = FrameRequests()
        self.kept: dict[str, bytes] = {}
        self.slide: Tally | None = None
        self.collection: Collection | None = None
        self.adaptation: Adaptation | None = None

    @property
    def reports(self) -> ReportArchive:
        return ReportArchive(lambda prefix: {key: value for key, value in self.kept.items() if key.startswith(prefix)})

    @property
    def analysing(self) -> bool:
        return self.busy

    def state(self) -> DeviceState:
        return DeviceState(
            device="scope-1",
            site="clinic",
            software="0.2.0",
            session=SESSION,
            at=datetime.now(UTC),
            paused=self.paused,
            streaming=not self.paused,
            safe_mode=False,
            problems=self.problems,
            trigger="continuous",
            stale_after_s=10.0,
            readings_count=0,
            waiting_count=0,
            model="demo",
            model_version="0.3.0",
            demonstration=True,
            provisional=False,
            models=(
                ModelOption(name="demo", version="0.3.0", reference="demo", demonstration=True, provisional=False),
            ),
            quality_limits={"min_focus_score": 20.0},
            slide=self.slide,
        )

    def submit(self, request: Request, reply: Callable[[bytes], None], *, by: str) -> None:
        self.submitted.put((request, by))
        reply(json.dumps(self.answer).encode())

    def record_failed_logins(self, count: int) -> None:
        self.failed_logins.put(count)

    def look_on(self) -> FrameRequest:
        return self.frames.add()

    def look_away(self, request: FrameRequest) -> None:
        self.frames.withdraw(request)
