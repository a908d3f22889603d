from __future__ import annotations

import pytest

from edge_agent.watchdog import StallDetector


def test_work_that_takes_too_long_is_stuck_and_rest_never_is(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [0.0]
    monkeypatch.setattr("edge_agent.watchdog.time.monotonic", lambda: moment[0])
    stall_detector = StallDetector(5.0)
    moment[0] = 1000.0
    assert not stall_detector.stuck
    with stall_detector.work():
        moment[0] += 4.9
        before = stall_detector.stuck
        moment[0] += 0.2
        after = stall_detector.stuck
    assert (before, after, stall_detector.stuck) == (False, True, False)


def test_work_that_fails_is_over_too() -> None:
    stall_detector = StallDetector(0.0)
    with pytest.raises(ValueError, match="broken"), stall_detector.work():
        raise ValueError("broken")
    assert not stall_detector.stuck
