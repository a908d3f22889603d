"""The newest value is reported at once after a pause, and otherwise every few seconds."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.agent.newest import Newest

INTERVAL_S = 10.0


class Told:
    """Keeps the published values, with the times of the test's clock."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.values: list[tuple[float, int | None]] = []
        self.newest: Newest[int | None] = Newest(
            lambda value: self.values.append((self.now_s - 1000.0, value)), INTERVAL_S, monotonic_s=lambda: self.now_s
        )


def test_the_first_after_a_pause_is_told_at_once_and_the_last_of_a_series_too() -> None:
    told = Told()
    for number in range(5):
        told.newest.put(number)
        told.now_s += 1
    assert told.values == [(0, 0)]
    for _ in range(10):
        told.now_s += 5
        told.newest.do_round()
    assert told.values == [(0, 0), (10, 4)]
    told.newest.put(5)
    assert told.values[-1] == (55, 5)


def test_what_must_not_wait_does_not() -> None:
    told = Told()
    told.newest.put(1)
    told.newest.put(2)
    told.newest.put(None, at_once=True)
    told.newest.put(3)
    told.newest.flush()
    told.newest.flush()
    assert [value for _, value in told.values] == [1, None, 3]


def test_another_publisher_is_told_once_more_unless_the_value_was_forgotten() -> None:
    told = Told()
    told.newest.publish_again()
    told.newest.put(1)
    told.newest.publish_again()
    assert [value for _, value in told.values] == [1, 1]
    told.newest.put(2)
    told.newest.forget()
    told.newest.publish_again()
    told.now_s += 100
    told.newest.do_round()
    assert [value for _, value in told.values] == [1, 1]


@given(st.lists(st.one_of(st.floats(0, 30), st.none()), max_size=40))
def test_it_is_never_told_more_often_and_never_ends_with_an_older_one(steps: list[float | None]) -> None:
    """A number moves the clock and does a round; None is a new value."""
    told, number = Told(), 0
    for step in steps:
        if step is None:
            number += 1
            told.newest.put(number)
        else:
            told.now_s += step
            told.newest.do_round()
    told.now_s += INTERVAL_S
    told.newest.do_round()
    moments = [moment for moment, _ in told.values]
    assert all(after - before >= INTERVAL_S - 1e-6 for before, after in itertools.pairwise(moments))
    numbers = [value for _, value in told.values]
    assert numbers == sorted(set(filter(None, numbers)))
    assert not number or numbers[-1] == number
