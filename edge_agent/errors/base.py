"""The root of the tree of errors."""

from __future__ import annotations

from typing import ClassVar


class EdgeAgentError(Exception):
    """Something that can happen to a user or operator, who can do something about it.

    ``message`` says what happened to which thing; ``remedy`` says what to do about it.
    """

    code: ClassVar[str] = "agent_failed"
    remedy: str = "Read the log around this line, and report it if it happens again."

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if remedy is not None:
            self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.code}: {self.message} {self.remedy}".rstrip()
