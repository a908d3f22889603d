from __future__ import annotations

from edge_agent.contracts import Topics
from edge_agent.mqtt.outbox import ANSWERS_RING, METRICS_RING, Outbox
from edge_agent.mqtt.outgoing import Outgoing
from edge_agent.mqtt.withheld import Withheld
from edge_agent.spool import MemorySpool

OLD, NEW = Topics("clinic", "scope-1"), Topics("clinic", "scope-10")


def waiting(outbox: Outbox) -> list[Outgoing]:
    found = []
    while (item := outbox.next()) is not None:
        found.append(item)
    return found


def begun(topics: Topics, spool: MemorySpool) -> Outbox:
    outbox = Outbox(topics, spool, Withheld())
    outbox.put_retained(topics.info, b"{}")
    outbox.begin()
    outbox.clear_former_topics()
    return outbox


def test_a_renamed_device_clears_what_is_retained_under_its_old_name_until_the_broker_has_it() -> None:
    spool = MemorySpool(2**20)
    before = begun(OLD, spool)
    for topic in (OLD.info, OLD.status):
        before.sent_retained(topic)
    for _ in range(2):
        after = begun(NEW, spool)
        cleared = [item for item in waiting(after) if not item.payload]
        assert [(item.topic, item.retain) for item in cleared] == [(OLD.info, True), (OLD.status, True)]
    for item in cleared:
        after.acknowledged(item)
    assert [item.topic for item in waiting(begun(NEW, spool))] == [NEW.info]


def test_a_device_that_keeps_its_name_clears_nothing() -> None:
    spool = MemorySpool(2**20)
    begun(OLD, spool).sent_retained(OLD.info)
    assert [item.payload for item in waiting(begun(OLD, spool))] == [b"{}"]


def test_what_has_not_been_sent_yet_is_replaced_by_what_is_true_now() -> None:
    outbox = begun(OLD, MemorySpool(2**20))
    outbox.put_retained(OLD.info, b'{"new":1}')
    for payload in (b"1", b"2"):
        outbox.put_status(Outgoing(OLD.status, OLD.status, payload, retain=True))
    assert [item.payload for item in waiting(outbox)] == [b'{"new":1}', b"2"]


def test_an_answer_waits_for_the_broker_and_is_gone_once_it_is_taken_or_refused() -> None:
    outbox = Outbox(OLD, MemorySpool(2**20), Withheld())
    for number in range(ANSWERS_RING + 2):
        outbox.put_answer(f"{OLD.answers}ping", str(number).encode(), None)
    outbox.begin()
    outbox.put_answers()
    first, second, *rest = waiting(outbox)
    assert first.payload == b"2"
    assert len(rest) == ANSWERS_RING - 2
    outbox.acknowledged(first)
    outbox.refused(second)
    outbox.end()
    outbox.begin()
    outbox.put_answers()
    assert waiting(outbox) == rest


def test_what_costs_the_connection_is_not_said_again() -> None:
    withheld = Withheld()
    withheld.add(OLD.info, provisional=False)
    outbox = Outbox(OLD, MemorySpool(2**20), withheld)
    outbox.put_retained(OLD.info, b"{}")
    outbox.begin()
    outbox.put_retained(OLD.info, b'{"new":1}')
    assert waiting(outbox) == []


def test_the_newest_metrics_are_kept() -> None:
    outbox = Outbox(OLD, MemorySpool(2**20), Withheld())
    for number in range(METRICS_RING + 5):
        outbox.put_metrics(str(number).encode())
    first = outbox.next_metrics()
    assert first is not None
    assert (first.payload, first.qos) == (b"5", 0)


ELSEWHERE = "homeassistant/device/clinic/scope-1/config"


def test_what_is_retained_elsewhere_stays_while_it_is_wanted() -> None:
    spool = MemorySpool(2**20)
    begun(OLD, spool).sent_retained(ELSEWHERE)
    outbox = Outbox(OLD, spool, Withheld())
    outbox.put_retained(ELSEWHERE, b"{}")
    outbox.begin()
    outbox.clear_former_topics()
    assert [(item.topic, item.payload) for item in waiting(outbox)] == [(ELSEWHERE, b"{}")]


def test_what_is_retained_elsewhere_is_cleared_once_it_is_not_wanted_any_more() -> None:
    spool = MemorySpool(2**20)
    begun(OLD, spool).sent_retained(ELSEWHERE)
    after = begun(OLD, spool)
    (cleared,) = [item for item in waiting(after) if not item.payload]
    assert (cleared.topic, cleared.retain) == (ELSEWHERE, True)
    after.acknowledged(cleared)
    assert [item.topic for item in waiting(begun(OLD, spool))] == [OLD.info]


def test_what_is_wanted_again_while_it_is_being_cleared_is_cleared_once_it_is_not() -> None:
    spool = MemorySpool(2**20)
    begun(OLD, spool).sent_retained(ELSEWHERE)
    outbox = begun(OLD, spool)
    (cleared,) = [item for item in waiting(outbox) if not item.payload]
    outbox.put_retained(ELSEWHERE, b"{}")
    outbox.sent_retained(ELSEWHERE)
    outbox.acknowledged(cleared)
    assert [item.topic for item in waiting(begun(OLD, spool)) if not item.payload] == [ELSEWHERE]


def test_what_is_retained_keeps_its_expiry_over_every_connection() -> None:
    outbox = Outbox(OLD, MemorySpool(2**20), Withheld())
    outbox.put_retained(OLD.health, b"{}", 900)
    outbox.put_retained(OLD.last, b"{}")
    for _ in range(2):
        outbox.begin()
        assert {item.topic: item.expiry_s for item in waiting(outbox)} == {OLD.health: 900, OLD.last: None}
        outbox.end()
    outbox.begin()
    waiting(outbox)
    outbox.repeat_retained({OLD.health})
    assert [item.expiry_s for item in waiting(outbox)] == [900]
