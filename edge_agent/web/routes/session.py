"""``/session``: who the visitor is, and logging in and out.

* ``GET``: ``{"role": "none" | "look" | "work" | "administer", "needs_login": true}``.
* ``POST`` with ``{"password": "..."}``: 204 and a cookie; 401 ``access_denied``; 429 ``too_many_attempts`` with
  ``Retry-After``. The password decides the role, and the answer to a wrong one reveals nothing about any role.
* ``DELETE``: 204; the session has ended.
"""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from edge_agent.errors import AccessDenied, RequestInvalid, TooManyAttempts
from edge_agent.web.access.access import Access
from edge_agent.web.access.roles import role_of
from edge_agent.web.refusals import refuse_with


def session_routes(access: Access) -> list[BaseRoute]:
    """Logging in and out, for everyone."""

    async def show(request: Request) -> Response:
        return JSONResponse({"role": role_of(request).code, "needs_login": access.needs_login})

    async def log_in(request: Request) -> Response:
        if not access.needs_login:
            return Response(status_code=204)
        password = _password(await request.body())
        if password is None:
            invalid = RequestInvalid('A log-in is {"password": "..."}.')
            return refuse_with(400, invalid)
        try:
            session_id = await access.log_in(password, request.client.host if request.client else "")
        except TooManyAttempts as error:
            refused = refuse_with(429, error)
            refused.headers["Retry-After"] = str(error.wait_s)
            return refused
        except AccessDenied as error:
            return refuse_with(401, error)
        # A browser has one session.
        access.log_out(request)
        response = Response(status_code=204)
        access.set_cookie(response, session_id)
        return response

    async def log_out(request: Request) -> Response:
        access.log_out(request)
        response = Response(status_code=204)
        access.set_cookie(response, None)
        return response

    return [
        Route("/session", show, methods=["GET"]),
        Route("/session", log_in, methods=["POST"]),
        Route("/session", log_out, methods=["DELETE"]),
    ]


def _password(body: bytes) -> str | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    password = found.get("password") if isinstance(found, dict) else None
    return password if isinstance(password, str) else None
