"""Keeps track of devices and their presence: the session rule, in one place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from edge_agent.client.messages import Message
from edge_agent.contracts import (
    Health,
    Info,
    Metrics,
    ModelReported,
    OpenContract,
    OpenSpecimen,
    Result,
    Status,
    StatusState,
)

MAX_DEVICES_COUNT = 20_000
"""A bound on the memory: anyone who may publish at the broker could invent devices."""

SILENT_AFTER_S = 180.0
"""Three heartbeats of an unchanged configuration."""


class Presence(StrEnum):
    """The presence of a device, by its own status or by its silence."""

    INIT = "init"
    READY = "ready"
    DEGRADED = "degraded"
    SLEEPING = "sleeping"
    DISCONNECTED = "disconnected"
    LOST = "lost"
    SILENT = "silent"
    """Its last status says that it is there, but was not repeated in time. Its will may still come."""
    UNKNOWN = "unknown"
    """It has published, but no status that is still valid."""


_GONE = frozenset({Presence.DISCONNECTED, Presence.LOST, Presence.SILENT})


@dataclass(slots=True)
class Device:
    """The known state of one device. A newer message replaces each part."""

    site: str
    id: str
    presence: Presence = Presence.UNKNOWN
    session: UUID | None = None
    """The run of the agent that the device is in."""
    status: Status | None = None
    """The newest valid status."""
    info: Info | None = None
    metrics: Metrics | None = None
    model: ModelReported | None = None
    last: Result | None = None
    specimen: OpenSpecimen | None = None
    reported_health: Health | None = field(default=None, repr=False)
    """The health as published; see ``health``."""
    heard_s: float | None = None
    """By the monotonic clock: when the device last sent a message; retained messages do not count."""
    status_s: float | None = None
    """By the monotonic clock: when its last status came."""
    status_until_s: float = field(default=float("inf"), repr=False)
    """By the monotonic clock: when it becomes silent unless the status is repeated."""

    @property
    def is_gone(self) -> bool:
        """Whether it is lost, disconnected or silent."""
        return self.presence in _GONE

    @property
    def health(self) -> Health | None:
        """Its health; None while it is gone, since the health says nothing then."""
        return None if self.is_gone else self.reported_health


class Devices:
    """All known devices, by the session rule.

    * A status other than ``lost`` makes its session the device's own.
    * ``lost`` is the last will of one session. It is ignored if the device is known to be in another: the broker
      publishes a will late, and a device may be back before.
    * A status is valid until the broker would forget it (``expiry_s`` of its delivery), else for three heartbeats.
      Then the device is ``silent``.

    No clock of a device decides anything. Time is that of a monotonic clock, passed in as ``now_s``.
    """

    def __init__(self, *, silent_after_s: float = SILENT_AFTER_S) -> None:
        """``silent_after_s`` applies if the broker does not say how long a status is valid (MQTT 3.1.1)."""
        self._silent_after_s = silent_after_s
        self._devices: dict[tuple[str, str], Device] = {}
        self.ignored_count = 0
        """Messages of devices beyond ``MAX_DEVICES_COUNT``."""

    def __iter__(self) -> Iterator[Device]:
        return iter(self._devices.values())

    def __len__(self) -> int:
        return len(self._devices)

    def get(self, site: str, device: str) -> Device | None:
        """The device; None if it never sent anything."""
        return self._devices.get((site, device))

    def update(
        self, message: Message, now_s: float, *, retained: bool = False, expiry_s: int | None = None
    ) -> Device | None:
        """Take over ``message``. Returns the device if its presence has changed, else None.

        ``retained`` says that the broker had kept the message from before, and ``expiry_s`` how long it still would.
        """
        device = self._known(message.site, message.device)
        if device is None:
            return None
        before = device.presence
        if isinstance(message.body, Status):
            self._take_status(device, message.body, now_s, self._silent_after_s if expiry_s is None else expiry_s)
        else:
            _take_part(device, message.body)
        if not retained:
            device.heard_s = now_s
        return device if device.presence is not before else None

    def forget(self, site: str, device: str) -> None:
        """Remove a device whose retained status was cleared: it is no longer in use."""
        self._devices.pop((site, device), None)

    def check_silence(self, now_s: float) -> list[Device]:
        """The devices that have just become silent."""
        silent = [each for each in self._devices.values() if not each.is_gone and each.status_until_s <= now_s]
        for each in silent:
            each.presence = Presence.SILENT
        return silent

    def _known(self, site: str, device: str) -> Device | None:
        """The device, which may be new; None if there are too many."""
        found = self._devices.get((site, device))
        if found is None:
            if len(self._devices) >= MAX_DEVICES_COUNT:
                self.ignored_count += 1
                return None
            found = self._devices[site, device] = Device(site, device)
        return found

    def _take_status(self, device: Device, status: Status, now_s: float, valid_s: float) -> None:
        if status.state is StatusState.LOST and device.session not in {None, status.session}:
            return
        device.session = status.session
        device.status = status
        device.presence = Presence(status.state)
        device.status_s, device.status_until_s = now_s, now_s + valid_s


def _take_part(device: Device, body: OpenContract) -> None:
    match body:
        case Info():
            device.info = body
            device.session = body.session
        case Health():
            device.reported_health = body
        case Metrics():
            device.metrics = body
        case ModelReported():
            device.model = body
        case OpenSpecimen():
            device.specimen = body
        case Result() if _is_newer(body, device.last, device.session):
            device.last = body
        case _:
            pass


def _is_newer(result: Result, than: Result | None, current: UUID | None) -> bool:
    """Whether ``result`` is newer: by number within a session; else the current session, if known, else no backlog."""
    if than is None:
        return True
    if result.session == than.session:
        return result.seq >= than.seq
    if current in {result.session, than.session}:
        return result.session == current
    return not result.replayed
