"""The messages on the web socket of the moving picture, besides the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_agent.contracts.base import Contract, UtcTime
from edge_agent.errors import RequestInvalid

MAX_WIDTH_PX = 1280
"""Largest width and height of a picture that is sent."""

_Share = Annotated[float, Field(ge=0, le=1)]
_Extent = Annotated[float, Field(gt=0, le=1)]
_ROUNDING = 1e-6
"""Sums of shares that a browser computed may exceed 1 by this much."""


@dataclass(frozen=True, slots=True)
class View:
    """The part of a frame that a viewer wants to see, and its size."""

    region: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    """Left, top, width and height as shares of the frame's."""
    max_width_px: int = MAX_WIDTH_PX


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    next: Literal[True]
    region: tuple[_Share, _Share, _Extent, _Extent] = (0.0, 0.0, 1.0, 1.0)
    max_width_px: int = Field(default=MAX_WIDTH_PX, ge=16, le=65_535)


def read_request(text: str) -> View:
    """The view that a viewer asks for: ``{"next": true, "region": [x, y, w, h], "max_width_px": n}``.

    ``region`` is the whole frame and ``max_width_px`` the largest width if they are left out. A width beyond
    ``MAX_WIDTH_PX`` is reduced to it. Raises ``RequestInvalid``.
    """
    try:
        request = _Request.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RequestInvalid(f"{place}: {first['msg']}." if place else f"{first['msg']}.") from error
    x, y, width, height = request.region
    if x + width > 1 + _ROUNDING or y + height > 1 + _ROUNDING:
        raise RequestInvalid("region: It reaches beyond the frame.")
    return View(request.region, min(request.max_width_px, MAX_WIDTH_PX))


class LiveHeader(Contract):
    """What a picture shows, and the meters of its frame."""

    id: int = Field(description="Number of the frame. It grows.")
    captured_at: UtcTime
    camera: str
    width_px: int = Field(description="Of the whole frame, as is the height.")
    height_px: int
    region: tuple[float, float, float, float] = Field(
        description="What the picture shows: left, top, width and height as shares of the frame's."
    )
    focus_score: float = Field(description="To focus by: higher is sharper, on one field. See vision.focus.")
    brightness_pct: float
    clipped_bright_pct: float
    clipped_dark_pct: float
    reading: UUID | None = Field(description="The latest reading, if this frame still shows its field.")
    skipped_count: int = Field(description="Frames that could not be decoded since somebody began to look.")


class NoPicture(Contract):
    """Why no picture comes."""

    state: Literal["paused", "camera_lost", "waiting"]
    code: str | None = None
    message: str
    remedy: str | None = None
