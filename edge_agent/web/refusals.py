"""Errors as the microscope page's server answers them."""

from __future__ import annotations

from starlette.responses import JSONResponse

from edge_agent.errors import EdgeAgentError


def refuse(status: int, code: str, message: str, remedy: str | None = None) -> JSONResponse:
    """An error with its code and what to do about it."""
    return JSONResponse({"code": code, "message": message, "remedy": remedy}, status_code=status)


def refuse_with(status: int, error: EdgeAgentError) -> JSONResponse:
    """The same for one of our errors."""
    return refuse(status, error.code, error.message, error.remedy)
