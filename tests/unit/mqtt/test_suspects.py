from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.mqtt.suspects import LOSSES_MAX, Suspects


def test_a_message_at_which_each_connection_ends_is_sent_alone_and_then_found() -> None:
    suspects = Suspects()
    for _ in range(LOSSES_MAX):
        assert not suspects.alone
        assert suspects.lost(["bad", "good"]) is None
    assert suspects.alone
    assert suspects.lost(["bad"]) == "bad"
    suspects.clear("good")
    assert not suspects.any


def test_one_that_is_acknowledged_in_between_is_not_blamed() -> None:
    suspects = Suspects()
    for _ in range(10):
        suspects.lost(["unlucky"])
        suspects.clear("unlucky")
    assert not suspects.any


def test_a_message_that_happened_to_be_alone_in_flight_is_not_found_yet() -> None:
    suspects = Suspects()
    for _ in range(LOSSES_MAX):
        suspects.lost(["bad"])
    assert suspects.lost(["live"]) is None
    assert suspects.lost(["bad"]) == "bad"


def test_where_the_broker_blames_what_it_was_sent_two_connections_are_enough() -> None:
    suspects = Suspects()
    assert suspects.lost(["bad", "good"], blamed=True) is None
    assert suspects.alone
    assert suspects.lost(["bad"], blamed=True) == "bad"


def test_a_message_that_is_never_acknowledged_though_later_ones_are_is_found_in_the_end() -> None:
    suspects = Suspects()
    assert [suspects.overtaken("bad") for _ in range(LOSSES_MAX)] == [False] * (LOSSES_MAX - 1) + [True]
    assert not suspects.any


@given(st.integers(1, 8), st.data())
def test_only_the_message_that_ends_the_connection_is_ever_found(count: int, data: st.DataObject) -> None:
    """A broker that takes messages in order and hangs up at one of them; its acknowledgements may be lost."""
    bad = data.draw(st.integers(0, count - 1))
    waiting, suspects = list(range(count)), Suspects()
    for _ in range(20 * count):
        sent = waiting[:1] if suspects.alone else list(waiting)
        reached = sent[: sent.index(bad)] if bad in sent else sent
        known = data.draw(st.integers(0, len(reached)))
        if bad not in sent:
            known = len(reached)
        for message in reached[:known]:
            suspects.clear(message)
            waiting.remove(message)
        if bad in sent:
            poison = suspects.lost([message for message in sent if message in waiting])
            if poison is not None:
                assert poison == bad
                return
    raise AssertionError("never found")
