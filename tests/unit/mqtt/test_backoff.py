from __future__ import annotations

from edge_agent.mqtt.backoff import DELIVERED_S, LASTED_S, TAKEN_MAX_S, Backoff, pause_s


def test_attempts_come_ever_later_and_at_a_random_moment() -> None:
    for failures, longest_s in ((1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (1000, 10)):
        pauses = [pause_s(failures, 10) for _ in range(200)]
        assert longest_s / 2 <= min(pauses) < max(pauses) <= longest_s
        assert max(pauses) - min(pauses) > longest_s / 4


def test_a_connection_that_did_not_last_does_not_reset_the_pause() -> None:
    backoff = Backoff(30.0)
    for _ in range(6):
        backoff.ended(0.1, delivered=True)
        pause = backoff.next_s()
    assert pause >= 15.0
    assert backoff.drops_count == 6


def test_one_that_lasted_or_delivered_does() -> None:
    for lasted_s, delivered in ((LASTED_S, False), (DELIVERED_S, True)):
        backoff = Backoff(30.0)
        for _ in range(6):
            backoff.next_s()
        backoff.ended(lasted_s, delivered=delivered)
        assert backoff.next_s() <= 1.0
        assert backoff.drops_count == 0


def test_a_taken_session_makes_long_pauses_that_grow_to_ten_minutes() -> None:
    backoff = Backoff(30.0)
    first = backoff.next_taken_s()
    assert first >= 30.0
    for _ in range(10):
        # Each connection lasts for a while, until the other device is back.
        backoff.ended(LASTED_S, delivered=True)
        last = backoff.next_taken_s()
    assert TAKEN_MAX_S / 2 <= last <= TAKEN_MAX_S
    backoff.ended(TAKEN_MAX_S, delivered=True)
    assert backoff.next_taken_s() <= 60.0
