"""The sessions of the microscope page. They are kept in memory, so a restart of the agent logs everyone out."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.web.access.roles import Role

MAX_SESSIONS = 200
"""More sessions than a laboratory has browsers; beyond this number the oldest session ends for a new one."""


@dataclass(frozen=True, slots=True)
class _Session:
    role: Role
    ends_at: float


class Sessions:
    """Sessions by a random id of 256 bits. For one thread."""

    def __init__(
        self, lifetime_s: float, *, max_count: int = MAX_SESSIONS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``clock`` returns seconds."""
        self.lifetime_s = lifetime_s
        self._max_count = max_count
        self._clock = clock
        # By digest, so that the time of a look-up reveals nothing about an id. The oldest, which end next, come first.
        self._by_digest: OrderedDict[bytes, _Session] = OrderedDict()

    def open(self, role: Role) -> str:
        """Begin a session; returns its id."""
        self._forget_ended()
        while len(self._by_digest) >= self._max_count:
            self._by_digest.popitem(last=False)
        session_id = secrets.token_urlsafe(32)
        self._by_digest[_digest(session_id)] = _Session(role, self._clock() + self.lifetime_s)
        return session_id

    def role(self, session_id: str) -> Role:
        """The role of a session; none if there is none with this id, or if it has ended."""
        self._forget_ended()
        session = self._by_digest.get(_digest(session_id))
        return Role.NONE if session is None else session.role

    def close(self, session_id: str) -> None:
        """End a session, if there is one."""
        self._by_digest.pop(_digest(session_id), None)

    def __len__(self) -> int:
        self._forget_ended()
        return len(self._by_digest)

    def _forget_ended(self) -> None:
        now = self._clock()
        while self._by_digest and next(iter(self._by_digest.values())).ends_at <= now:
            self._by_digest.popitem(last=False)


def _digest(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).digest()
