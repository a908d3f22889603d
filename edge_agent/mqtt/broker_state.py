"""Whether the broker accepts the device's messages, and what is wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from datetime import datetime

from edge_agent.errors import EdgeAgentError

log = logging.getLogger(__name__)

_LIMITS = "limits"


@dataclass(frozen=True, slots=True)
class BrokerState:
    """Whether the broker is connected, and what is wrong.

    With an ``error`` while it is ``connected``, the broker lacks or refuses something; the rest is delivered.
    """

    connected: bool
    error: EdgeAgentError | None = None
    version: str | None = None
    """Version of MQTT, while it is connected."""
    certificate_end: datetime | None = None
    """When the broker's certificate expires, while it is connected with encryption."""


class BrokerStateReporter:
    """Keeps the state, reports each change of it, and logs each problem once when it begins."""

    def __init__(self, on_state: Callable[[BrokerState], None]) -> None:
        self._on_state = on_state
        self._problems: dict[Hashable, EdgeAgentError] = {}
        self.state = BrokerState(connected=False)
        """The last reported state."""

    def connected(self, version: str, problem: EdgeAgentError | None, certificate_end: datetime | None = None) -> None:
        """The broker has accepted a connection. ``problem`` says what the device cannot do over it."""
        self._problems = {} if problem is None else {_LIMITS: problem}
        # A problem is logged anew for each connection.
        self.state = BrokerState(connected=True, version=version, certificate_end=certificate_end)
        self._set(replace(self.state, error=problem))

    def disconnected(self, error: EdgeAgentError) -> None:
        """There is no connection."""
        self._problems.clear()
        self._set(BrokerState(connected=False, error=error))

    def problem(self, key: Hashable) -> EdgeAgentError | None:
        """The connection's problem in one respect; None if there is none."""
        return self._problems.get(key)

    def set_problem(self, key: Hashable, error: EdgeAgentError | None) -> None:
        """Something about the connection is wrong now, or no longer. The oldest problem is reported."""
        known = self._problems.get(key)
        if error is None:
            self._problems.pop(key, None)
        elif known is None or known.message != error.message:
            self._problems[key] = error
        oldest = next(iter(self._problems.values()), None)
        if self.state.connected and oldest is not self.state.error:
            self._set(replace(self.state, error=oldest))

    def _set(self, state: BrokerState) -> None:
        before, self.state = self.state, state
        if state.error is not None and (before.error is None or before.error.message != state.error.message):
            log.warning("%s", state.error, extra={"code": state.error.code})
        self._on_state(state)
