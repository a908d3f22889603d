"""Reads the bodies of requests, up to a limit."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

_MAX_BODY_BYTES = 4096


class TooLarge(Exception):
    """The body of a request has more than ``_MAX_BODY_BYTES``."""


class Body(BaseModel):
    """Closed: a key that is not known is refused."""

    model_config = ConfigDict(extra="forbid")


async def read_body(request: Request) -> bytes:
    """The body of a request. Raises ``TooLarge``."""
    content = b""
    async for piece in request.stream():
        content += piece
        if len(content) > _MAX_BODY_BYTES:
            raise TooLarge
    return content
