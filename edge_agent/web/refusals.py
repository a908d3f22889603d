"""Turns errors into answers of the microscope page's server."""

from __future__ import annotations

from pydantic import ValidationError
from starlette.responses import JSONResponse

from edge_agent.errors import EdgeAgentError, RequestInvalid


def refuse_with(status: int, error: EdgeAgentError) -> JSONResponse:
    """An error with its code and remedy."""
    return JSONResponse({"code": error.code, "message": error.message, "remedy": error.remedy}, status_code=status)


def refuse_invalid(error: ValidationError) -> JSONResponse:
    """The first problem of a request that cannot be understood. Its content is not repeated."""
    problem = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"]) or "the body"
    return refuse_with(400, RequestInvalid(f"{where}: {problem['msg']}."))
