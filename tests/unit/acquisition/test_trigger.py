from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_agent.acquisition.settings import TriggerSettings
from edge_agent.acquisition.trigger import Trigger

Thumbnail = NDArray[np.uint8]


def flat(level: int) -> Thumbnail:
    return np.full((32, 32), level, np.uint8)


def read_at(trigger: Trigger, thumbnails: Sequence[Thumbnail | None], step_s: float = 0.1) -> list[int]:
    """Numbers of the fields that are read, one field every ``step_s``."""
    return [
        number
        for number, thumbnail in enumerate(thumbnails)
        if trigger.needs_decoding(number * step_s) and trigger.wants(thumbnail, number * step_s)
    ]


def test_continuous_reads_every_interval() -> None:
    trigger = Trigger(TriggerSettings(mode="continuous", interval_s=0.5))
    assert read_at(trigger, [flat(100)] * 16) == [0, 5, 10, 15]


def test_continuous_without_interval_reads_every_frame() -> None:
    trigger = Trigger(TriggerSettings(mode="continuous", interval_s=0))
    assert read_at(trigger, [flat(100)] * 4) == [0, 1, 2, 3]


def test_continuous_does_not_catch_up_after_a_pause() -> None:
    trigger = Trigger(TriggerSettings(mode="continuous", interval_s=1))
    times = [0.0, 10.0, 10.1, 10.2, 11.0]
    read = [now for now in times if trigger.needs_decoding(now) and trigger.wants(flat(1), now)]
    assert read == [0.0, 10.0, 11.0]


def test_continuous_says_how_long_a_file_may_wait() -> None:
    trigger = Trigger(TriggerSettings(mode="continuous", interval_s=2))
    assert trigger.wait_s(100.0) == 0
    trigger.wants(flat(1), 100.0)
    assert trigger.wait_s(100.5) == 1.5


def test_triggered_reads_only_what_was_requested() -> None:
    trigger = Trigger(TriggerSettings(mode="triggered"))
    assert read_at(trigger, [flat(1)] * 3) == []
    assert trigger.wait_s(1.0) is None
    assert trigger.wants(flat(1), 1.0, requested=True)
    assert not trigger.wants(flat(1), 1.1)


def test_a_request_between_two_intervals_does_not_move_the_next_one() -> None:
    trigger = Trigger(TriggerSettings(mode="continuous", interval_s=2))
    assert trigger.wants(flat(1), 0.0)
    assert not trigger.wants(flat(1), 1.0)
    assert trigger.wants(flat(1), 1.5, requested=True)
    assert trigger.wants(flat(1), 2.0)


def test_a_field_that_was_requested_is_not_read_again_when_it_rests() -> None:
    trigger = Trigger(TriggerSettings(mode="settled", rest_frames_count=2))
    assert trigger.wants(flat(100), 0.0, requested=True)
    assert read_at(trigger, [flat(100)] * 5) == []


def test_settled_reads_a_field_once_when_the_stage_has_come_to_rest() -> None:
    trigger = Trigger(TriggerSettings(mode="settled", rest_frames_count=2))
    moving = [flat(level) for level in (10, 60, 110, 160)]
    assert read_at(trigger, [*moving, *[flat(160)] * 10]) == [5]


def test_settled_reads_the_next_field_but_not_the_same_one_again() -> None:
    trigger = Trigger(TriggerSettings(mode="settled", rest_frames_count=1))
    stay, shake, move = [flat(100)] * 4, [flat(150), flat(100)], [flat(150), flat(200)]
    fields = [*stay, *shake, *stay, *move, *[flat(200)] * 4]
    read = read_at(trigger, fields)
    assert [fields[number] for number in read] == [stay[0], fields[-1]]


def test_settled_reports_frames_without_a_field_once() -> None:
    trigger = Trigger(TriggerSettings(mode="settled", rest_frames_count=1))
    assert read_at(trigger, [None, None, None]) == [0]


@given(st.lists(st.integers(0, 255), max_size=60), st.integers(1, 4))
def test_settled_never_reads_while_the_field_changes(levels: list[int], rest: int) -> None:
    settings = TriggerSettings(mode="settled", rest_frames_count=rest)
    for number in read_at(Trigger(settings), [flat(level) for level in levels]):
        resting = levels[number - rest : number + 1]
        assert len(resting) == rest + 1
        assert all(abs(a - b) * 100 / 255 <= settings.rest_change_pct for a, b in itertools.pairwise(resting))


def test_a_pause_stretches_the_interval_and_ends_with_its_cause() -> None:
    pause_s = 0.0
    trigger = Trigger(TriggerSettings(mode="continuous", interval_s=0.2), lambda: pause_s)
    assert read_at(trigger, [flat(1)] * 5) == [0, 2, 4]
    pause_s = 1.0
    assert trigger.wait_s(0.5) == pytest.approx(0.9)
    times = [0.5, 1.3, 1.5, 2.4, 2.6]
    assert [now for now in times if trigger.needs_decoding(now) and trigger.wants(flat(1), now)] == [1.5, 2.6]
    pause_s = 0.0
    assert trigger.wants(flat(1), 2.9)


def test_a_pause_does_not_delay_what_is_requested() -> None:
    trigger = Trigger(TriggerSettings(mode="continuous", interval_s=0), lambda: 60.0)
    assert trigger.wants(flat(1), 0.0)
    assert not trigger.wants(flat(1), 1.0)
    assert trigger.wants(flat(1), 2.0, requested=True)
    assert trigger.wait_s(3.0) == 59.0


def test_a_field_that_settles_during_a_pause_is_read_after_it() -> None:
    trigger = Trigger(TriggerSettings(mode="settled", rest_frames_count=1), lambda: 1.0)
    fields = [flat(50), flat(50), *[flat(200)] * 20]
    found = [number for number, field in enumerate(fields) if trigger.wants(field, number * 0.1)]
    assert found == [1, 11]
    assert trigger.wait_s(1.2) == pytest.approx(0.9)
    assert Trigger(TriggerSettings(mode="triggered"), lambda: 1.0).wait_s(0.0) is None


@given(st.lists(st.floats(0.001, 3), max_size=60), st.floats(0, 2), st.floats(0, 5), st.data())
def test_readings_are_never_closer_than_the_pause_nor_left_out_for_long(
    gaps: list[float], interval_s: float, pause_s: float, data: st.DataObject
) -> None:
    mode = data.draw(st.sampled_from(["continuous", "settled"]))
    trigger = Trigger(TriggerSettings(mode=mode, interval_s=interval_s, rest_frames_count=1), lambda: pause_s)
    read: list[float] = []
    for number, now_s in enumerate(itertools.accumulate(gaps)):
        # A new field each time, at rest for two frames.
        if trigger.needs_decoding(now_s) and trigger.wants(flat(100 * (number // 2 % 2)), now_s):
            read.append(now_s)
        elif read and mode == "continuous":
            assert now_s - read[-1] < max(interval_s, pause_s) + interval_s + 1e-6
    assert all(after - before >= pause_s - 1e-9 for before, after in itertools.pairwise(read))
