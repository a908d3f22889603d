from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.acquisition.capture_requests import FRAMES_UNDER_WAY, CaptureRequests
from edge_agent.cameras import Frame
from edge_agent.errors import AgentPaused, ImageError


def frame(at_ns: int) -> Frame:
    return Frame("camera0", datetime.now(UTC), at_ns, ImageError("no picture is needed here."))


def test_a_frame_that_may_have_been_exposed_before_the_request_does_not_serve_it() -> None:
    clock = itertools.count(100, 100)
    requests = CaptureRequests(lambda: next(clock))
    request = requests.add()
    assert not requests.due(frame(99), live=True)
    under_way = [requests.due(frame(at_ns), live=True) for at_ns in range(101, 101 + FRAMES_UNDER_WAY)]
    assert not any(under_way)
    assert requests.take() == []
    assert requests.due(frame(150), live=True)
    assert requests.take() == [request]
    assert not requests.waiting


def test_the_next_file_serves_a_request_whenever_it_was_read() -> None:
    requests = CaptureRequests(lambda: 100)
    request = requests.add()
    assert requests.due(frame(1), live=False)
    assert requests.take() == [request]


def test_a_request_that_came_later_waits_for_a_later_frame() -> None:
    moments = iter([100, 200])
    requests = CaptureRequests(lambda: next(moments))
    first = requests.add()
    for at_ns in (110, 120, 130):
        requests.due(frame(at_ns), live=True)
    second = requests.add()
    assert requests.take() == [first]
    assert requests.waiting
    assert [requests.due(frame(at_ns), live=True) for at_ns in (210, 220, 230)] == [False, False, True]
    assert requests.take() == [second]


def test_who_is_cancelled_gets_the_reason_and_who_withdrew_is_served_no_more() -> None:
    requests = CaptureRequests()
    left, gone = requests.add(), requests.add()
    requests.withdraw(gone)
    requests.cancel(AgentPaused("Reading was interrupted."))
    with pytest.raises(AgentPaused):
        left.result.result(0)
    assert not gone.result.done()
    assert not requests.waiting


@given(st.lists(st.sampled_from(["ask", "frame"]), max_size=40))
def test_no_request_is_ever_served_by_one_of_the_frames_under_way(steps: list[str]) -> None:
    now = 0
    requests = CaptureRequests(lambda: now)
    since: dict[int, int] = {}
    for step in steps:
        now += 1
        if step == "ask":
            since[id(requests.add())] = 0
            continue
        for key in since:
            since[key] += 1
        if requests.due(frame(now), live=True):
            served = requests.take()
            assert served
            assert all(since.pop(id(request)) == FRAMES_UNDER_WAY + 1 for request in served)
