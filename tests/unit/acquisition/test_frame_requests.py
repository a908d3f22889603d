"""Viewers see each frame once, at their own pace, and no frame from before their request."""

from __future__ import annotations

import numpy as np
import pytest

from edge_agent.acquisition.capture_requests import FRAMES_UNDER_WAY
from edge_agent.acquisition.frame_requests import FrameRequests
from edge_agent.cameras import ColourOrder, Frame, Pixels
from edge_agent.cameras.frame import frame_now
from edge_agent.errors import AgentPaused


def frame() -> Frame:
    return frame_now("camera0", Pixels(np.zeros((4, 4, 3), np.uint8), ColourOrder.RGB))


def test_a_live_camera_is_seen_only_from_frames_exposed_after_the_request() -> None:
    requests = FrameRequests()
    old = frame()
    request = requests.add()
    requests.offer(old, live=True)
    under_way = [frame() for _ in range(FRAMES_UNDER_WAY)]
    for each in under_way:
        requests.offer(each, live=True)
    assert request.next(0) is None
    new = frame()
    requests.offer(new, live=True)
    assert request.next(0) is new


def test_a_waiting_file_is_shown_once_however_often_it_is_offered() -> None:
    requests = FrameRequests()
    request = requests.add()
    file = frame()
    for _ in range(3):
        requests.offer(file, live=False)
    assert request.next(0) is file
    requests.offer(file, live=False)
    assert request.next(0) is None


def test_at_most_one_frame_waits_for_a_slow_onlooker() -> None:
    requests = FrameRequests()
    request = requests.add()
    frames = [frame() for _ in range(5)]
    for each in frames:
        requests.offer(each, live=False)
    assert request.next(0) is frames[0]
    assert request.next(0) is None


def test_an_end_reaches_who_waits_and_who_asks_later_but_not_who_left() -> None:
    requests = FrameRequests()
    waiting, gone = requests.add(), requests.add()
    requests.withdraw(gone)
    requests.cancel(AgentPaused("Reading was interrupted."))
    for request in (waiting, requests.add()):
        with pytest.raises(AgentPaused):
            request.next(0)
    assert gone.next(0) is None


def test_a_newer_live_frame_takes_the_place_of_one_that_waits() -> None:
    requests = FrameRequests()
    request = requests.add()
    frames = [frame() for _ in range(FRAMES_UNDER_WAY + 3)]
    for each in frames:
        requests.offer(each, live=True)
    assert request.next(0) is frames[-1]
    assert request.next(0) is None


def test_a_frame_that_waits_is_not_shown_after_the_end() -> None:
    requests = FrameRequests()
    request = requests.add()
    requests.offer(frame(), live=False)
    requests.cancel(AgentPaused("Reading was interrupted."))
    with pytest.raises(AgentPaused):
        request.next(0)
