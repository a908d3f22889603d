from __future__ import annotations

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from edge_agent.mqtt.flow import RETRY_MAX_S, TRIES_MAX, SpoolFlow, mark_replayed
from edge_agent.mqtt.outgoing import Outgoing
from edge_agent.spool import MemorySpool, Message

TOPIC = "leukoscope/v1/clinic/scope-1/result/camera0"
NOT_AUTHORIZED, QUOTA_EXCEEDED = 0x87, 0x97


def make(max_in_flight: int = 20, settle_s: float = 0.0) -> tuple[MemorySpool, SpoolFlow]:
    spool = MemorySpool(2**24)
    flow = SpoolFlow(spool, replay_rate_hz=100, max_in_flight=max_in_flight, retry_max_s=30, settle_s=settle_s)
    flow.begin()
    return spool, flow


def append(spool: MemorySpool, payload: bytes = b'{"replayed":false}') -> UUID:
    message = Message(uuid7(), TOPIC, payload)
    spool.append(message)
    return message.id


def take(flow: SpoolFlow, now: float) -> Outgoing:
    item = flow.next(now)
    assert item is not None
    return item


def test_live_messages_go_as_they_are_and_the_backlog_marked_and_at_its_rate() -> None:
    spool, flow = make(max_in_flight=100)
    for _ in range(50):
        append(spool)
    flow.begin()
    live = append(spool)
    assert take(flow, 1.0).key == live
    assert json.loads(take(flow, 1.0).payload)["replayed"] is True
    sent = 1
    # The missed part of the last tenth of a second is made up for; then the rate holds.
    for now, bound in ((1.0, 12), (1.1, 22)):
        while flow.next(now) is not None:
            sent += 1
        assert bound - 2 <= sent <= bound


@pytest.mark.parametrize(
    "payload",
    [b"not json", b"[1, 2]", b"3", b"null", b"", b"\xff\xfe{}", b'{"a": 1', b'{"a":' * 10_000, b'{"x":"\xed\xa0\x80"}'],
)
def test_a_damaged_payload_is_quarantined_and_the_rest_goes_on(payload: bytes) -> None:
    spool, flow = make()
    damaged = append(spool, payload)
    sound = append(spool)
    flow.begin()
    sent = [flow.next(float(now)) for now in range(3)]
    assert [item.key for item in sent if item is not None] == [sound]
    (quarantined,) = spool.pop_quarantined_messages()
    assert (quarantined.id, quarantined.code) == (damaged, "message_damaged")


def test_a_payload_that_the_mark_makes_larger_than_any_is_sent() -> None:
    spool, flow = make()
    large = append(spool, b'{"x":"' + b"y" * (64 * 1024 - 8) + b'"}')
    flow.begin()
    assert take(flow, 0.0).key == large


@given(st.binary(max_size=50) | st.text(max_size=50).map(str.encode))
def test_no_payload_makes_anything_but_a_value_error(payload: bytes) -> None:
    try:
        marked = mark_replayed(payload)
    except ValueError:
        return
    assert json.loads(marked)["replayed"] is True


def test_a_refused_message_is_quarantined_with_the_brokers_words() -> None:
    spool, flow = make()
    message = append(spool)
    flow.refused(take(flow, 0.0).key, NOT_AUTHORIZED, 'Not authorized ("no report")', accepts=True, now=0.0)
    (quarantined,) = spool.pop_quarantined_messages()
    assert (quarantined.id, quarantined.code) == (message, "broker_refused")
    assert "no report" in quarantined.reason


def test_a_broker_that_takes_nothing_at_all_refuses_the_device_and_everything_waits() -> None:
    spool, flow = make(max_in_flight=3)
    for _ in range(10):
        append(spool)
    for _ in range(3):
        flow.refused(take(flow, 0.0).key, NOT_AUTHORIZED, "Not authorized", accepts=False, now=0.0)
    assert flow.refused_entirely
    assert flow.next(0.0) is None
    assert spool.stats().quarantined_count == 0
    # It is tried again later, in case the rights have been granted meanwhile.
    due_at = flow.due_at()
    assert due_at is not None
    assert take(flow, due_at) is not None


def test_once_the_broker_takes_something_what_it_refused_before_gets_another_try() -> None:
    spool, flow = make()
    message = append(spool)
    flow.refused(take(flow, 0.0).key, NOT_AUTHORIZED, "Not authorized", accepts=False, now=0.0)
    assert flow.next(0.0) is None
    flow.retry_unproven()
    again = take(flow, 0.0)
    assert again.key == message
    flow.refused(again.key, NOT_AUTHORIZED, "Not authorized", accepts=True, now=0.0)
    assert spool.stats().quarantined_count == 1
    assert not flow.refused_entirely


def test_a_message_over_a_quota_waits_beside_the_others() -> None:
    spool, flow = make()
    over = append(spool)
    other = append(spool)
    flow.refused(take(flow, 0.0).key, QUOTA_EXCEEDED, "Quota exceeded", accepts=True, now=0.0)
    assert take(flow, 0.0).key == other
    flow.acknowledged(other, 0.0)
    again = take(flow, RETRY_MAX_S)
    assert again.key == over
    flow.acknowledged(over, 0.0)
    assert spool.stats().acknowledged_count == 2
    assert spool.stats().quarantined_count == 0


def test_a_quota_that_holds_everything_up_never_quarantines_anything() -> None:
    spool, flow = make()
    append(spool)
    now = 0.0
    for _ in range(10 * TRIES_MAX):
        now += RETRY_MAX_S
        flow.refused(take(flow, now).key, QUOTA_EXCEEDED, "Quota exceeded", accepts=True, now=now)
    assert spool.stats().quarantined_count == 0


def test_one_that_alone_is_put_off_again_and_again_is_quarantined_in_the_end() -> None:
    spool, flow = make()
    over = append(spool)
    item = take(flow, 0.0)
    now = 0.0
    for tries in range(TRIES_MAX):
        assert spool.stats().quarantined_count == 0, tries
        other = append(spool)
        flow.next(now)
        flow.acknowledged(other, 0.0)
        flow.refused(over, QUOTA_EXCEEDED, "Quota exceeded", accepts=True, now=now)
        now += 2 * RETRY_MAX_S
        if tries < TRIES_MAX - 1:
            assert take(flow, now).key == item.key
    assert spool.stats().quarantined_count == 1


def test_a_new_connection_begins_with_everything_that_was_not_acknowledged() -> None:
    spool, flow = make()
    messages = [append(spool) for _ in range(3)]
    take(flow, 0.0)
    flow.refused(take(flow, 0.0).key, QUOTA_EXCEEDED, "Quota exceeded", accepts=True, now=0.0)
    flow.end()
    flow.begin()
    assert [take(flow, float(now)).key for now in range(3)] == messages


def test_what_was_acknowledged_just_before_the_connection_was_lost_is_sent_again() -> None:
    """A broker that is killed forgets what it had acknowledged and not saved."""
    spool, flow = make(max_in_flight=1, settle_s=5.0)
    early, late = append(spool), append(spool)
    for message, now in ((early, 0.0), (late, 4.0)):
        assert take(flow, now).key == message
        flow.acknowledged(message, now)
    assert flow.settles_at == 5.0
    flow.settle(5.0)
    flow.end()
    flow.begin()
    assert take(flow, 6.0).key == late
    assert flow.next(7.0) is None


def test_what_settles_holds_nothing_up_and_leaves_the_spool_when_it_is_time() -> None:
    spool, flow = make(max_in_flight=1, settle_s=5.0)
    for now in range(3):
        message = append(spool)
        assert take(flow, float(now)).key == message
        flow.acknowledged(message, float(now))
    assert flow.next(3.0) is None
    assert flow.idle
    flow.settle(6.0)
    assert (spool.stats().acknowledged_count, spool.stats().in_flight_count) == (2, 1)
    flow.settle(float("inf"))
    assert (spool.stats().acknowledged_count, spool.stats().in_flight_count) == (3, 0)
    assert flow.settles_at is None
