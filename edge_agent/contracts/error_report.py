"""An error as a part of messages."""

from __future__ import annotations

from typing import Self

from edge_agent.contracts.base import OpenContract
from edge_agent.errors import EdgeAgentError


class ErrorReport(OpenContract):
    """A failure, with the same code, message and remedy as in the log."""

    code: str
    message: str
    remedy: str

    @classmethod
    def from_error(cls, error: EdgeAgentError) -> Self:
        """The report of ``error``."""
        return cls(code=error.code, message=error.message, remedy=error.remedy)
