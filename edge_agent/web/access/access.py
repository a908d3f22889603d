"""Identifies a visitor of the microscope page: by a session's cookie, by a token, or, on the device itself, anyone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from edge_agent.errors import AccessDenied, TooManyAttempts
from edge_agent.web.access.access_file import AccessFile
from edge_agent.web.access.attempts import Attempts, FailedLogins
from edge_agent.web.access.passwords import role_of_password
from edge_agent.web.access.roles import Role
from edge_agent.web.access.sessions import Sessions
from edge_agent.web.refusals import refuse_with

_PUBLIC = {"/", "/session"}
_PUBLIC_FOLDERS = ("/assets/", "/locales/")


class Access:
    """The rules of one device. Used in the server's event loop only."""

    def __init__(
        self,
        known: AccessFile | None,
        sessions: Sessions,
        *,
        encrypted: bool,
        attempts: Attempts | None = None,
        on_failed_logins: Callable[[int], None] = lambda _count: None,
    ) -> None:
        """If ``known`` is None, everyone may do everything.

        ``on_failed_logins`` gets the number of wrong passwords and tokens, at most once a minute.
        """
        self._known = known
        self._sessions = sessions
        self._encrypted = encrypted
        self._attempts = attempts or Attempts()
        self._failed = FailedLogins(on_failed_logins)
        # One at a time: each hash takes 19 MiB and a processor.
        self._hashing = ThreadPoolExecutor(1, "web-password")

    @property
    def needs_login(self) -> bool:
        """Whether there are passwords."""
        return self._known is not None

    @property
    def cookie_name(self) -> str:
        """The cookie's name. Browsers accept ``__Host-`` only over TLS, from this host, for all paths (RFC 6265bis)."""
        return "__Host-leukoscope" if self._encrypted else "leukoscope"

    def identify(self, visitor: HTTPConnection) -> tuple[Role, bool]:
        """The visitor's role, and whether a token proved it."""
        if self._known is None:
            return Role.ADMINISTER, False
        scheme, _, token = visitor.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            name = self._known.role_of_token(token.strip())
            if name is not None:
                return Role[name.upper()], True
            self._failed.add()
            return Role.NONE, False
        return self._sessions.role(visitor.cookies.get(self.cookie_name, "")), False

    async def log_in(self, password: str, address: str) -> str:
        """Begin a session for the role that has this password; returns its id.

        Raises ``AccessDenied``, ``TooManyAttempts``.
        """
        wait_s = self._attempts.wait_s(address)
        if wait_s is not None:
            raise TooManyAttempts("Too many passwords were tried.", wait_s=wait_s)
        hashes = {} if self._known is None else self._known.passwords
        role = await asyncio.get_running_loop().run_in_executor(self._hashing, role_of_password, password, hashes)
        if role is None:
            self._failed.add()
            raise AccessDenied(
                "The password is wrong.",
                remedy="Type it again. A lost password is replaced with 'edge-agent web password'.",
            )
        self._attempts.forgive(address)
        return self._sessions.open(Role[role.upper()])

    def log_out(self, visitor: HTTPConnection) -> None:
        """End the visitor's session, if there is one."""
        self._sessions.close(visitor.cookies.get(self.cookie_name, ""))

    def close(self) -> None:
        """End the thread that hashes."""
        self._hashing.shutdown(wait=False, cancel_futures=True)

    def set_cookie(self, response: Response, session_id: str | None) -> None:
        """Set the browser's session cookie, or delete it."""
        response.set_cookie(
            self.cookie_name,
            session_id or "",
            max_age=0 if session_id is None else int(self._sessions.lifetime_s),
            path="/",
            secure=self._encrypted,
            httponly=True,
            samesite="strict",
        )


class AccessGuard:
    """Writes the visitor's ``role`` into the scope, for ``requires``, and ``by_token``, for ``CrossSiteGuard``.

    Every request except those for the page itself and for logging in gets 401 without a role, even if a route forgets
    to say whom it serves.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or open a WebSocket."""
        role, by_token = self._access.identify(HTTPConnection(scope))
        scope["role"], scope["by_token"] = role, by_token
        if role is Role.NONE and not _is_public(scope["path"]):
            await refuse_with(401, AccessDenied("Nobody is logged in."))(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_public(path: str) -> bool:
    return path in _PUBLIC or path.startswith(_PUBLIC_FOLDERS)
