"""Finds another client that connects under this device's name, where the broker does not say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from edge_agent.contracts import Status, StatusState

CLOCKS_DIFFER = timedelta(minutes=1)
"""The most by which the clocks of two devices are expected to differ."""


class RivalWatch:
    """Some brokers, mosquitto 2.0.11 among them, close the older of two connections with one name without a reason.

    The retained status reveals a rival: if it is of another session, and newer than this device's connection before the
    last, another client has published it.
    """

    def __init__(self, session: UUID) -> None:
        self._session = session
        self._accepted_at: datetime | None = None
        self._formerly_accepted_at: datetime | None = None
        self.looks = False
        """Whether the device's own status is to be subscribed to over the next connection."""

    def accepted(self) -> None:
        """The broker has accepted a connection."""
        self._formerly_accepted_at, self._accepted_at = self._accepted_at, datetime.now(UTC)

    def lost(self, *, unexplained: bool) -> None:
        """A connection is gone."""
        self.looks = unexplained

    def sees(self, payload: bytes) -> bool:
        """Whether this status is a rival's. Raises ``ValueError`` if it is no status."""
        if not payload:
            return False
        status = Status.model_validate_json(payload)
        if status.session == self._session or status.state in {StatusState.LOST, StatusState.DISCONNECTED}:
            return False
        # A broker that crashed may have an older status of this device itself.
        since = self._formerly_accepted_at
        return since is not None and status.at is not None and status.at > since - CLOCKS_DIFFER
