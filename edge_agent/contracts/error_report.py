"""An error as messages carry it."""

from __future__ import annotations

from typing import Self

from edge_agent.contracts.base import Contract
from edge_agent.errors import EdgeAgentError


class ErrorReport(Contract):
    """A failure, as the log reports it too."""

    code: str
    message: str
    remedy: str

    @classmethod
    def from_error(cls, error: EdgeAgentError) -> Self:
        """What ``error`` says."""
        return cls(code=error.code, message=error.message, remedy=error.remedy)
