"""Which devices there are, and what each says of itself: the session rule, in one place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from edge_agent.client.messages import Message
from edge_agent.contracts import Health, Info, Metrics, ModelReported, OpenSpecimen, Result, Status, StatusState

SILENT_AFTER_S = 180.0
"""Three heartbeats of an unchanged configuration."""


class Presence(StrEnum):
    """Whether a device is there: what it says itself, or what its silence says."""

    INIT = "init"
    READY = "ready"
    DEGRADED = "degraded"
    SLEEPING = "sleeping"
    DISCONNECTED = "disconnected"
    LOST = "lost"
    SILENT = "silent"
    """It says that it is there, but has not repeated it in time. Its will may still come."""
    UNKNOWN = "unknown"
    """It has published, but no status that is still valid."""


_GONE = frozenset({Presence.DISCONNECTED, Presence.LOST, Presence.SILENT})


@dataclass(slots=True)
class Device:
    """What is known of one device. A newer message replaces each part."""

    site: str
    id: str
    presence: Presence = Presence.UNKNOWN
    session: UUID | None = None
    """The run of the agent that the device is in."""
    status: Status | None = None
    """The newest status that counts."""
    info: Info | None = None
    metrics: Metrics | None = None
    model: ModelReported | None = None
    last: Result | None = None
    specimen: OpenSpecimen | None = None
    reported_health: Health | None = field(default=None, repr=False)
    """As it was published; see ``health``."""
    heard_at: datetime | None = None
    """When it was last heard of, by this computer's clock."""
    status_until_s: float = field(default=float("inf"), repr=False)
    """By the monotonic clock: then it is silent unless the status was repeated."""

    @property
    def is_gone(self) -> bool:
        """Whether it is lost, disconnected or silent."""
        return self.presence in _GONE

    @property
    def health(self) -> Health | None:
        """Its health; None while it is gone, since the health says nothing then."""
        return None if self.is_gone else self.reported_health


class Devices:
    """All devices that were heard of, by the session rule.

    * A status other than ``lost`` makes its session the device's own.
    * ``lost`` is the last will of one session. It is ignored if the device is known to be in another: the broker
      publishes a will late, and a device may be back before.
    * A status is valid until the broker would forget it (``expiry_s`` of its delivery), else for three heartbeats.
      Then the device is ``silent``.

    No clock of a device decides anything. Time is that of a monotonic clock, passed in as ``now_s``.
    """

    def __init__(self, *, silent_after_s: float = SILENT_AFTER_S) -> None:
        """``silent_after_s`` applies where the broker does not say how long a status is valid (MQTT 3.1.1)."""
        self._silent_after_s = silent_after_s
        self._devices: dict[tuple[str, str], Device] = {}

    def __iter__(self) -> Iterator[Device]:
        return iter(self._devices.values())

    def __len__(self) -> int:
        return len(self._devices)

    def get(self, site: str, device: str) -> Device | None:
        """The device; None if nothing was heard of it."""
        return self._devices.get((site, device))

    def update(
        self,
        message: Message,
        now_s: float,
        received_at: datetime,
        *,
        retained: bool = False,
        expiry_s: int | None = None,
    ) -> Device | None:
        """Take over what ``message`` says. The device if its presence has changed, else None."""
        device = self._devices.setdefault((message.site, message.device), Device(message.site, message.device))
        before = device.presence
        match message.body:
            case Status() as status:
                self._take_status(device, status, now_s + (self._silent_after_s if expiry_s is None else expiry_s))
            case Info() as info:
                device.info = info
                device.session = info.session
            case Health() as health:
                device.reported_health = health
            case Metrics() as metrics:
                device.metrics = metrics
            case ModelReported() as model:
                device.model = model
            case OpenSpecimen() as specimen:
                device.specimen = specimen
            case Result() as result if _is_newer(result, device.last):
                device.last = result
        if not retained:
            device.heard_at = received_at
        return device if device.presence is not before else None

    def check_silence(self, now_s: float) -> list[Device]:
        """The devices that have just become silent."""
        silent = [each for each in self._devices.values() if not each.is_gone and each.status_until_s <= now_s]
        for each in silent:
            each.presence = Presence.SILENT
        return silent

    def _take_status(self, device: Device, status: Status, until_s: float) -> None:
        if status.state is StatusState.LOST and device.session not in {None, status.session}:
            return
        device.session = status.session
        device.status = status
        device.presence = Presence(status.state)
        device.status_until_s = until_s


def _is_newer(result: Result, than: Result | None) -> bool:
    """Within a session by number; of two sessions the one that was begun later by the device's own clock."""
    if than is None:
        return True
    if result.session == than.session:
        return result.seq >= than.seq
    return not result.replayed and result.session.int >= than.session.int
