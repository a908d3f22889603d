"""The roles of the microscope page, and the rights of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import IntEnum
from functools import wraps

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from edge_agent.errors import AccessDenied, RoleInsufficient
from edge_agent.web.refusals import refuse_with

Endpoint = Callable[[Request], Awaitable[Response]]


class Role(IntEnum):
    """The rights of a visitor; each role includes the rights of the roles before it."""

    NONE = 0
    LOOK = 1
    WORK = 2
    ADMINISTER = 3

    @property
    def code(self) -> str:
        """The role's name outside the program."""
        return self.name.lower()


def role_of(connection: HTTPConnection) -> Role:
    """The visitor's role, which the access middleware put into the scope; none without it."""
    role = connection.scope.get("role", Role.NONE)
    return role if isinstance(role, Role) else Role.NONE


def requires(least: Role) -> Callable[[Endpoint], Endpoint]:
    """Let visitors with ``least`` or more reach an endpoint. The others get 401, or 403 once they have logged in."""

    def wrap(endpoint: Endpoint) -> Endpoint:
        @wraps(endpoint)
        async def guarded(request: Request) -> Response:
            role = role_of(request)
            if role >= least:
                return await endpoint(request)
            if role is Role.NONE:
                return refuse_with(401, AccessDenied("Nobody is logged in."))
            message = f"The role '{role.code}' may not do this; '{least.code}' may."
            return refuse_with(403, RoleInsufficient(message, remedy=f"Log in with the password of '{least.code}'."))

        return guarded

    return wrap
