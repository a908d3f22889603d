"""The device as it is delivered: the package on a Debian, a camera on its USB, and the faults that it must survive.

Each case has its own machine, which is switched off at the beginning. Times are seconds of the host, with the machine's
processor emulated: a device is faster.
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from tests.system.configurations import CONFIGURATION, PATIENT_CONFIGURATION
from tests.system.device import CONFIGURATION_FILE, STATE_FOLDER, Device, install_package
from tests.system.run import skip_unless_asked
from tests.system.timing import Clock
from tests.system.watch import PATIENCE_S

skip_unless_asked()
pytestmark = [pytest.mark.system, pytest.mark.timeout(4 * 3600)]

SEED = 1


def test_cold_boot(device: Device, clock: Clock) -> None:
    with clock.time("to first result") as began_s:
        clock.note("to services s", device.box.boot())
        result = device.watch.result(since_s=began_s)
    assert result.body["camera"] == "camera0"
    device.watch.results(10, since_s=began_s)
    assert device.unit("NRestarts")["NRestarts"] == "0"
    device.assert_nothing_lost()


def test_camera_unplugged_and_plugged_in(running: Device, clock: Clock) -> None:
    with clock.time("until it is told") as began_s:
        running.box.ssh("systemctl kill -s KILL camera")
        running.health(since_s=began_s, camera=False)
    with clock.time("from the plug to a result") as began_s:
        running.box.ssh("systemctl reset-failed camera; systemctl start camera")
        running.watch.result(since_s=began_s)
    running.health(since_s=began_s, camera=True)
    running.assert_nothing_lost()


def test_plugged_camera_wakes_the_agent(running: Device, clock: Clock) -> None:
    """The agent would look for its camera again after ten minutes: only the signal makes it look earlier."""
    session = _session(running)
    began_s = time.monotonic()
    running.configure(PATIENT_CONFIGURATION)
    running.box.ssh("systemctl restart leukoscope")
    running.watch.result(since_s=began_s, other_than=session)
    began_s = time.monotonic()
    running.box.ssh("systemctl kill -s KILL camera")
    running.health(since_s=began_s, camera=False)
    with clock.time("from the plug to a result") as began_s:
        running.box.ssh("systemctl reset-failed camera; systemctl start camera")
        running.watch.result(since_s=began_s, timeout_s=300)
    # Its unit does not fail even if the signal does.
    assert running.box.ssh("systemctl show leukoscope-wake -P Result -P ExecMainStatus").split() == ["success", "0"]
    running.assert_nothing_lost()


def test_agent_killed(running: Device, clock: Clock) -> None:
    session = _session(running)
    with clock.time("to the next result") as began_s:
        running.box.ssh("systemctl kill -s KILL --kill-whom=main leukoscope")
        running.watch.result(since_s=began_s, other_than=session)
    running.assert_nothing_lost()


def test_agent_hangs(running: Device, clock: Clock) -> None:
    session = _session(running)
    with clock.time("to the next result") as began_s:
        running.box.ssh(f"kill -STOP {running.main_pid()}")
        running.watch.result(since_s=began_s, other_than=session)
    assert "watchdog" in running.box.journal("leukoscope", lines=500).lower()
    running.assert_nothing_lost()


def test_broker_restarted(running: Device, clock: Clock) -> None:
    session = _session(running)
    with clock.time("to the next result") as began_s:
        running.box.ssh("systemctl restart mosquitto")
        running.watch.result(since_s=time.monotonic())
    assert _session(running) == session
    running.watch.results(5, since_s=began_s)
    running.assert_nothing_lost()


def test_power_cut(running: Device, clock: Clock, cuts_count: int) -> None:
    """Half of the cuts come while the broker is away, so that many committed messages still wait."""
    rng = random.Random(SEED)
    times_s = []
    kept_count = 0
    for cut in range(cuts_count):
        committed: set[UUID] = set()
        if cut % 2 == 0:
            running.box.ssh("systemctl stop mosquitto")
            # The random moment is the point, here and below: there is no event to wait for.
            time.sleep(rng.uniform(3, 8))
            committed = set(running.spool().waiting)
            kept_count += len(committed)
        else:
            time.sleep(rng.uniform(0, 3))
        session = _session(running)
        running.box.cut_power()
        began_s = time.monotonic()
        running.box.boot()
        running.watch.result(since_s=began_s, other_than=session)
        times_s.append(time.monotonic() - began_s)
        _wait_for(running, committed)
    spool = running.assert_nothing_lost()
    # A damaged spool would have been set aside under a name like this.
    assert not running.box.ssh(f"find {STATE_FOLDER} -name '*.corrupt-*'")
    clock.note("cuts", cuts_count)
    clock.note("to the next result s", max(times_s))
    clock.note("accepted", spool.accepted_count)
    clock.note("waited over a cut", kept_count)
    clock.note("repeats", running.watch.repeats_count())


def test_disk_full(running: Device, clock: Clock) -> None:
    session = _session(running)
    with clock.time("until it is told") as began_s:
        # First set space aside, which writes nothing, then write to the last byte.
        running.box.ssh("fallocate -l $(df --output=avail -B1 /var/lib | tail -n 1) /var/lib/filler", check=False)
        running.box.ssh("cat /dev/zero >> /var/lib/filler; sync", check=False)
        checks = running.health(since_s=began_s, disk=False)
    assert checks["disk"]["code"] == "disk_low"
    # Analysis goes on: what cannot be written waits in memory.
    running.watch.results(10, since_s=time.monotonic())
    with clock.time("until all is well") as began_s:
        running.box.ssh("rm /var/lib/filler")
        running.health(since_s=began_s, disk=True, spool=True)
    running.watch.results(5, since_s=time.monotonic())
    assert _session(running) == session
    running.assert_nothing_lost()


def test_clock_two_weeks_off(device: Device, clock: Clock) -> None:
    # Ahead: systemd itself mends a clock that is behind, up to the time that it remembers.
    wrong = datetime.now(UTC) + timedelta(days=14)
    with clock.time("to first result") as began_s:
        device.box.boot(clock=wrong)
        result = device.watch.result(since_s=began_s)
    assert abs(datetime.fromisoformat(result.body["captured_at"]) - wrong) < timedelta(hours=1)
    assert result.body["clock"]["synchronised"] is False
    assert device.health(since_s=began_s, clock=False)["clock"]["code"] == "clock_unset"
    device.watch.results(5, since_s=began_s)
    device.assert_nothing_lost()


def test_upgrade(running: Device, package: Path, clock: Clock) -> None:
    session = _session(running)
    with clock.time("to the next result") as began_s:
        install_package(running.box, package)
        clock.note("dpkg s", time.monotonic() - began_s)
        running.watch.result(since_s=began_s, other_than=session)
    running.assert_nothing_lost()


def test_broken_configuration(running: Device, clock: Clock) -> None:
    """Safe mode: the agent reports what is wrong and waits for a repair, instead of being restarted over and over."""
    running.configure(CONFIGURATION.replace("interval_s = 0.5", 'intervall_s = "half a second"'))
    with clock.time("until it is told") as began_s:
        running.box.ssh("systemctl restart --no-block leukoscope")
        checks = running.health(since_s=began_s, configuration=False)
    assert "intervall_s" in checks["configuration"]["message"]
    restarts = running.unit("NRestarts")
    time.sleep(20)
    assert running.unit("NRestarts", "ActiveState") == {**restarts, "ActiveState": "active"}
    running.configure(CONFIGURATION)
    with clock.time("from mending to a result") as began_s:
        running.box.ssh("systemctl reload leukoscope")
        running.watch.result(since_s=began_s)
    running.assert_nothing_lost()


def test_setup(running: Device, clock: Clock) -> None:
    """Set up as a user would: a wrong answer, then right ones; nothing else has to be done."""
    names = ("North Clinic", "north-clinic", "scope-7", "no")
    broker_and_camera = ("",) * 6
    answers = (*names, *broker_and_camera, "", "continuous", "0.5", "no")
    typed = "".join(f"{answer}\n" for answer in answers)
    with clock.time("to a result under the new name") as began_s:
        said = running.box.ssh("leukoscope setup", check=False, typed=typed)
        running.watch.wait(
            "a result of scope-7",
            lambda seen: seen.kind == "result" and seen.body["device"] == "scope-7",
            since_s=began_s,
        )
    assert "lower-case letters" in said
    assert "leukoscope.service was restarted" in said
    for check in ("runtime", "bundle", "broker", "disk", "audit"):
        assert f"ok   {check}" in said, said
    assert running.box.ssh(f"stat -c '%a %U %G' {CONFIGURATION_FILE}").split() == ["640", "root", "leukoscope"]
    running.assert_nothing_lost()


def _session(device: Device) -> UUID:
    """The session of the agent whose results are arriving now."""
    return UUID(device.watch.last_result().body["session"])


def _wait_for(device: Device, ids: set[UUID]) -> None:
    """Wait until all of these have arrived. Raises ``AssertionError`` with those that did not."""
    deadline_s = time.monotonic() + PATIENCE_S
    while (missing := ids - device.watch.ids()) and time.monotonic() < deadline_s:
        time.sleep(0.2)
    assert not missing, f"{len(missing)} committed messages did not come after the cut: {missing}"
