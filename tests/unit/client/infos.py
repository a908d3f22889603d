"""The ``info`` of a device, for tests that only need one."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from edge_agent.contracts import Camera, Info, Software
from tests.results import any_result


def info(session: UUID) -> Info:
    """The info of ``scope-1`` in ``clinic-a``."""
    return Info(
        demonstration=True,
        site="clinic-a",
        device="scope-1",
        session=session,
        started_at=datetime(2026, 11, 29, tzinfo=UTC),
        machine="none",
        software=Software(leukoscope="0", python="0", opencv="0", runtime="none"),
        cameras=(Camera(id="camera0", kind="synthetic"),),
        model=any_result().model,
        schemas=(),
    )
