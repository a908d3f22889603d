"""The device's status: its state in one word."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.cameras import CameraPhase, CameraState
from edge_agent.contracts import Check, StatusState
from edge_agent.errors import CertificateExpiring, EdgeAgentError
from edge_agent.mqtt import BrokerState
from edge_agent.spool import SpoolStats

WARNINGS = frozenset({CertificateExpiring.code})
"""Codes of what needs a person, while the device does all that it should: ``health`` says it, the status does not."""


@dataclass(slots=True)
class DeviceStatus:
    """What the status depends on. Each field is replaced as a whole, so that any thread may read it."""

    paused: bool = False
    streaming: bool = False
    camera_error: EdgeAgentError | None = None
    checks: tuple[Check, ...] = ()

    def camera_changed(self, state: CameraState) -> None:
        """Store the camera's state. While it is being opened, its last error stays."""
        self.streaming = state.phase is CameraPhase.STREAMING
        if state.phase is not CameraPhase.OPENING:
            self.camera_error = state.error

    def current(self, broker: BrokerState) -> tuple[StatusState, str | None]:
        """State and code, as published."""
        if self.paused:
            return StatusState.SLEEPING, None
        # The errors of camera and broker are newer than their checks. A reader of this message has a connection.
        errors = [self.camera_error, broker.error if broker.connected else None]
        codes = [error.code for error in errors if error is not None]
        codes += [
            check.code
            for check in self.checks
            if check.code and check.name not in {"broker", "camera"} and check.code not in WARNINGS
        ]
        if codes:
            return StatusState.DEGRADED, codes[0]
        return (StatusState.READY if self.streaming else StatusState.INIT), None

    def problems(self, broker: BrokerState) -> tuple[Check, ...]:
        """What is wrong with each part, the newest that is known."""
        newer = {"camera": None if self.paused else self.camera_error, "broker": broker.error}
        return (
            *(Check.from_error(name, error) for name, error in newer.items() if error is not None),
            *(check for check in self.checks if check.code and check.name not in newer),
        )

    def summary(self, broker: BrokerState, spool: SpoolStats, readings_count: int) -> str:
        """One line for a person."""
        if self.paused:
            camera = "paused"
        elif self.camera_error is not None:
            camera = self.camera_error.code
        else:
            camera = "reading" if self.streaming else "waiting for the camera"
        connection = "connected" if broker.connected else "no broker"
        if broker.error is not None:
            connection = f"{connection} ({broker.error.code})"
        waiting = spool.waiting_count + spool.in_flight_count
        return f"{camera}; {connection}; {readings_count} readings; {waiting} messages waiting"
