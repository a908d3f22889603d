from __future__ import annotations

import pytest

from edge_agent.agent.status import DeviceStatus
from edge_agent.cameras import CameraPhase, CameraState
from edge_agent.contracts import Check, StatusState
from edge_agent.errors import (
    BrokerLimits,
    BrokerUnreachable,
    CameraLost,
    CertificateExpired,
    CertificateExpiring,
    DiskLow,
    EdgeAgentError,
)
from edge_agent.mqtt import BrokerState

CONNECTED = BrokerState(connected=True)
LOST, LIMITS, FULL = CameraLost("unplugged."), BrokerLimits("no retain."), DiskLow("1 MiB is free.")


@pytest.mark.parametrize(
    ("camera", "broker", "checks", "expected"),
    [
        (None, CONNECTED, (), (StatusState.READY, None)),
        (LOST, CONNECTED, (FULL,), (StatusState.DEGRADED, "camera_lost")),
        (None, BrokerState(connected=True, error=LIMITS), (FULL,), (StatusState.DEGRADED, "broker_limits")),
        (None, CONNECTED, (FULL,), (StatusState.DEGRADED, "disk_low")),
        # By the time anybody reads this, there is a connection again.
        (None, BrokerState(connected=False, error=BrokerUnreachable("gone.")), (), (StatusState.READY, None)),
    ],
)
def test_the_status_shows_the_first_of_what_is_wrong(
    camera: EdgeAgentError | None,
    broker: BrokerState,
    checks: tuple[EdgeAgentError, ...],
    expected: tuple[StatusState, str | None],
) -> None:
    status = DeviceStatus(
        streaming=True, camera_error=camera, checks=tuple(Check.from_error("disk", each) for each in checks)
    )
    assert status.current(broker) == expected


def test_an_error_of_the_camera_stays_until_it_streams_again() -> None:
    status = DeviceStatus()
    status.camera_changed(CameraState(CameraPhase.LOST, LOST))
    status.camera_changed(CameraState(CameraPhase.OPENING))
    assert status.current(CONNECTED) == (StatusState.DEGRADED, "camera_lost")
    status.camera_changed(CameraState(CameraPhase.STREAMING))
    assert status.current(CONNECTED) == (StatusState.READY, None)


def test_a_paused_device_sleeps_whatever_else_is_wrong() -> None:
    status = DeviceStatus(paused=True, camera_error=LOST)
    assert status.current(BrokerState(connected=True, error=LIMITS)) == (StatusState.SLEEPING, None)


def test_a_certificate_that_ends_soon_does_not_make_the_device_degraded_and_one_that_has_ended_does() -> None:
    status = DeviceStatus(streaming=True)
    for error, state in (
        (CertificateExpiring("soon."), StatusState.READY),
        (CertificateExpired("over."), StatusState.DEGRADED),
    ):
        status.checks = (Check.from_error("certificates", error),)
        assert status.current(BrokerState(connected=True))[0] is state
        assert [check.code for check in status.problems(BrokerState(connected=True))] == [error.code]
