from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from edge_agent.client import Device, Devices, Message, Presence
from edge_agent.contracts import CheckState, Health, OpenContract, Status, StatusState
from tests.results import any_result
from tests.unit.client.infos import info

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
OLD, NEW = uuid7(), uuid7()


def status(state: StatusState, session: UUID = NEW, at: datetime = NOW) -> Status:
    return Status(site="clinic-a", device="scope-1", session=session, state=state, code=None, at=at)


def health(session: UUID = NEW) -> Health:
    return Health(site="clinic-a", device="scope-1", session=session, at=NOW, state=CheckState.OK, checks=())


class Fleet:
    def __init__(self) -> None:
        self.now_s = 1000.0
        self.devices = Devices(silent_after_s=180.0)

    def says(self, body: OpenContract, kind: str = "status", *, expiry_s: int | None = None) -> Device | None:
        return self.devices.update(Message("clinic-a", "scope-1", kind, body), self.now_s, expiry_s=expiry_s)

    @property
    def presence(self) -> str:
        return self.device.presence

    @property
    def device(self) -> Device:
        found = self.devices.get("clinic-a", "scope-1")
        assert found is not None
        return found


def test_a_device_is_what_its_status_says_and_a_change_is_reported_once() -> None:
    fleet = Fleet()
    assert fleet.says(status(StatusState.READY)) is fleet.device
    assert fleet.presence == Presence.READY
    assert fleet.says(status(StatusState.READY)) is None
    assert fleet.says(status(StatusState.DEGRADED)) is fleet.device
    assert not fleet.device.is_gone


def test_the_will_of_a_former_run_is_ignored_and_that_of_this_one_is_not() -> None:
    fleet = Fleet()
    fleet.says(status(StatusState.READY, OLD))
    fleet.says(status(StatusState.READY, NEW))
    assert fleet.says(status(StatusState.LOST, OLD)) is None
    assert fleet.presence == Presence.READY
    fleet.says(status(StatusState.LOST, NEW))
    assert fleet.presence == Presence.LOST


@pytest.mark.parametrize("first", [OLD, NEW], ids=["clock-right", "clock-back"])
def test_a_device_that_is_back_counts_whatever_its_clock_says(first: UUID) -> None:
    """After a start without the right time its newest run has the older id."""
    second = NEW if first == OLD else OLD
    fleet = Fleet()
    fleet.says(status(StatusState.READY, first))
    fleet.says(status(StatusState.LOST, first))
    fleet.says(status(StatusState.READY, second, NOW - timedelta(days=14)))
    assert fleet.presence == Presence.READY
    fleet.says(status(StatusState.LOST, first))
    assert fleet.presence == Presence.READY


def test_a_kept_will_is_ignored_if_the_kept_info_is_of_another_run() -> None:
    fleet = Fleet()
    fleet.says(info(NEW), "info")
    fleet.says(status(StatusState.LOST, OLD))
    assert fleet.presence == Presence.UNKNOWN


def test_a_status_that_is_not_repeated_in_time_makes_the_device_silent() -> None:
    fleet = Fleet()
    fleet.says(status(StatusState.READY))
    assert fleet.devices.check_silence(fleet.now_s + 179) == []
    assert fleet.devices.check_silence(fleet.now_s + 180) == [fleet.device]
    assert fleet.presence == Presence.SILENT
    assert fleet.devices.check_silence(fleet.now_s + 999) == []
    assert fleet.says(status(StatusState.READY)) is fleet.device


def test_the_broker_says_how_long_a_status_is_valid() -> None:
    fleet = Fleet()
    fleet.says(status(StatusState.READY), expiry_s=30)
    assert fleet.devices.check_silence(fleet.now_s + 30) == [fleet.device]


@pytest.mark.parametrize("state", [StatusState.LOST, StatusState.DISCONNECTED], ids=str)
def test_health_says_nothing_of_a_device_that_is_gone(state: StatusState) -> None:
    fleet = Fleet()
    fleet.says(status(StatusState.READY))
    fleet.says(health(), "health")
    assert fleet.device.health is not None
    fleet.says(status(state))
    assert fleet.device.is_gone
    assert fleet.device.health is None


def test_a_clock_that_was_set_back_two_weeks_does_not_hide_the_last_result() -> None:
    """The run that the device is in counts, though its id sorts before the former's."""
    fleet = Fleet()
    made = any_result()
    fleet.says(status(StatusState.READY, NEW))
    fleet.says(made.model_copy(update={"session": NEW, "seq": 9}), "last")
    fleet.says(status(StatusState.READY, OLD))
    fleet.says(made.model_copy(update={"session": OLD, "seq": 0}), "last")
    assert fleet.device.last is not None
    assert fleet.device.last.session == OLD


def test_the_last_result_is_the_newest_of_the_newest_run() -> None:
    fleet = Fleet()
    made = any_result()
    for session, seq, replayed in [(OLD, 5, False), (NEW, 1, False), (NEW, 0, True), (OLD, 9, True)]:
        fleet.says(made.model_copy(update={"session": session, "seq": seq, "replayed": replayed}), "last")
    assert fleet.device.last is not None
    assert (fleet.device.last.session, fleet.device.last.seq) == (NEW, 1)
