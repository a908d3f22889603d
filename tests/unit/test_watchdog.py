from __future__ import annotations

import pytest

from edge_agent.watchdog import Pulse


def test_work_that_takes_too_long_is_stuck_and_rest_never_is(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [0.0]
    monkeypatch.setattr("edge_agent.watchdog.time.monotonic", lambda: moment[0])
    pulse = Pulse(5.0)
    moment[0] = 1000.0
    assert not pulse.stuck
    with pulse.work():
        moment[0] += 4.9
        before = pulse.stuck
        moment[0] += 0.2
        after = pulse.stuck
    assert (before, after, pulse.stuck) == (False, True, False)


def test_work_that_fails_is_over_too() -> None:
    pulse = Pulse(0.0)
    with pytest.raises(ValueError, match="broken"), pulse.work():
        raise ValueError("broken")
    assert not pulse.stuck
