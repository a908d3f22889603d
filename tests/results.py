"""A result for tests that only need one."""

from __future__ import annotations

from uuid import uuid4

from edge_agent.analysis.reading import Reading
from edge_agent.analysis.results import ResultMaker
from edge_agent.cameras.frame import frame_now
from edge_agent.contracts import ErrorReport, ModelIdentity, Outcome, Result
from edge_agent.errors import ImageError


def any_result() -> Result:
    """A reading of a frame that cannot be read."""
    error = ImageError("no picture is needed here.")
    model = ModelIdentity(name="demo", version="1.0.0", sha256="0" * 64, preprocessing="rgb@1", runtime="none")
    reading = Reading(
        frame=frame_now("camera0", error),
        outcome=Outcome.FAILED,
        model=model,
        provisional=False,
        demonstration=True,
        latency_ms={"total": 0.0},
        error=ErrorReport.from_error(error),
    )
    return ResultMaker("clinic-a", "scope-1", uuid4()).make(reading)
