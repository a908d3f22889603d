"""The device's own status, and when it is to be repeated."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from uuid import UUID

from edge_agent.contracts import Status, StatusState, Topics
from edge_agent.mqtt.outgoing import Outgoing
from edge_agent.mqtt.settings import MqttSettings


class OwnStatus:
    """Makes the messages on the status topic, each with the time at which it was made."""

    def __init__(self, settings: MqttSettings, topics: Topics, session: UUID) -> None:
        self._settings = settings
        self._topics = topics
        self._session = session
        self._state = StatusState.INIT
        self._code: str | None = None
        self.due_at = time.monotonic() + settings.heartbeat_s
        """``time.monotonic()`` at which the status is to be repeated."""

    def change(self, state: StatusState, code: str | None = None) -> Outgoing:
        """A new status."""
        self._state, self._code = state, code
        return self.repeat()

    def repeat(self) -> Outgoing:
        """The same status, as it is now."""
        self.due_at = time.monotonic() + self._settings.heartbeat_s
        return self._message(self._state, self._code, self._settings.status_expiry_s)

    def will(self) -> Outgoing:
        """The message for the broker to publish if the device leaves without disconnecting; made when connecting."""
        return self._message(StatusState.LOST, None, None)

    def _message(self, state: StatusState, code: str | None, expiry_s: int | None) -> Outgoing:
        topic = self._topics.status
        status = Status(
            site=self._topics.site,
            device=self._topics.device,
            session=self._session,
            state=state,
            code=code,
            at=datetime.now(UTC),
        )
        return Outgoing(topic, topic, status.to_json(), retain=True, expiry_s=expiry_s)
