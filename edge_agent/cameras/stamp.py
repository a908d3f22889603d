"""The moment at which a camera hands a picture over."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from edge_agent.cameras.frame import Encoded, Frame, Pixels
from edge_agent.contracts import CaptureSettings
from edge_agent.errors import ImageError


def frame_now(
    camera: str,
    image: Pixels | Encoded | ImageError,
    *,
    settings: CaptureSettings | None = None,
    source: str | None = None,
) -> Frame:
    """A frame captured now, by the wall clock and by the monotonic one."""
    return Frame(
        camera=camera,
        captured_at=datetime.now(UTC),
        monotonic_ns=time.monotonic_ns(),
        image=image,
        settings=settings if settings is not None else CaptureSettings(),
        source=source,
    )
