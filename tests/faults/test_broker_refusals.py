"""A single message that a broker does not take, of whatever kind, never holds up the others."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from uuid_utils.compat import uuid7

from edge_agent.cli.local_broker import free_port, run_mosquitto
from edge_agent.contracts import StatusState, Topics
from edge_agent.errors import BrokerLimits, BrokerRefused
from edge_agent.mqtt import Request
from edge_agent.spool import Message, SpoolLimits, SqliteSpool
from tests.faults.test_broker import device
from tests.folders import let_others_in
from tests.mqtt import PATIENCE_S, Subscriber
from tests.publishing import TOPICS, WatchedSpool, scope
from tests.scripted_broker import Publish, Session, scripted_broker

NOT_AUTHORIZED, TOPIC_INVALID, TOO_LARGE, QUOTA, FORMAT_INVALID = 0x87, 0x90, 0x95, 0x97, 0x99


@contextmanager
def mosquitto_with_rights(mosquitto: str, folder: Path, rights: str, more: str = "") -> Iterator[int]:
    port = free_port()
    file = folder / "acl"
    file.write_text(rights)
    file.chmod(0o644)
    let_others_in(folder)
    lines = f"allow_anonymous true\nacl_file {file}\n{more}"
    with run_mosquitto(mosquitto, port, extra_configuration=lines):
        yield port


def test_a_topic_that_the_access_list_refuses_costs_nothing_but_its_own_messages(
    mosquitto: str, tmp_path: Path
) -> None:
    rights = f"topic write {TOPICS.prefix}/result/#\ntopic write {TOPICS.status}\ntopic read #\n"
    with mosquitto_with_rights(mosquitto, tmp_path, rights) as port, scope(port, start=False) as device_:
        ids = [device_.append() for _ in range(100)]
        report = device_.append(topic=TOPICS.report)
        ids += [device_.append() for _ in range(100)]
        device_.publisher.start()
        device_.until_acknowledged(set(ids))
        message_id, code, reason = device_.next_quarantined()
        assert (message_id, code) == (report, "broker_refused")
        assert "Not authorized" in reason
        assert device_.publisher.broker.connected
    stats = device_.spool.stats()
    assert (stats.acknowledged_count, stats.quarantined_count, stats.waiting_count) == (200, 1, 0)


def test_also_where_the_device_may_not_even_tell_its_status(mosquitto: str, tmp_path: Path) -> None:
    rights = f"topic write {TOPICS.prefix}/result/#\n"
    with mosquitto_with_rights(mosquitto, tmp_path, rights) as port, scope(port) as device_:
        device_.publisher.set_retained(TOPICS.info, b"{}")
        report = device_.append(topic=TOPICS.report)
        ids = [device_.append() for _ in range(20)]
        device_.until_acknowledged(set(ids))
        assert device_.next_quarantined()[0] == report
        state = device_.until(lambda state: state.error is not None)
        assert state.connected
        assert isinstance(state.error, BrokerRefused)


def test_a_device_without_any_rights_loses_nothing(mosquitto: str, tmp_path: Path) -> None:
    with mosquitto_with_rights(mosquitto, tmp_path, "topic read nothing\n") as port, scope(port) as device_:
        for _ in range(50):
            device_.append()
        state = device_.until(lambda state: state.error is not None)
        assert isinstance(state.error, BrokerRefused)
    stats = device_.spool.stats()
    assert (stats.waiting_count, stats.quarantined_count) == (50, 0)


def refusing(wanted: Callable[[Publish], bool], reason: int, **properties: object) -> Callable[[Session], None]:
    def script(session: Session) -> None:
        session.accept()
        for message in session.publishes():
            if message.qos:
                refused = wanted(message)
                session.acknowledge(message, reason if refused else 0, **(properties if refused else {}))

    return script


@pytest.mark.parametrize("reason", [NOT_AUTHORIZED, TOPIC_INVALID, FORMAT_INVALID])
def test_a_message_that_is_refused_for_good_is_quarantined_with_the_brokers_own_words(reason: int) -> None:
    script = refusing(lambda message: message.kind == "report", reason, ReasonString="because\nof \x1b[31mthis")
    with scripted_broker(script) as broker, scope(broker.port) as device_:
        report = device_.append(topic=TOPICS.report)
        ids = [device_.append() for _ in range(30)]
        device_.until_acknowledged(set(ids))
        message_id, code, words = device_.next_quarantined()
        assert (message_id, code) == (report, "broker_refused")
        assert "because\\nof \\x1b[31mthis" in words
    assert device_.spool.stats().acknowledged_count == 30


def test_a_message_over_a_quota_is_delivered_later_and_the_others_meanwhile() -> None:
    refused: list[int] = []

    def once(message: Publish) -> bool:
        if message.kind == "report" and not refused:
            refused.append(message.number)
            return True
        return False

    with scripted_broker(refusing(once, QUOTA)) as broker, scope(broker.port) as device_:
        device_.until_connected()
        report = device_.append(topic=TOPICS.report)
        ids = [device_.append() for _ in range(30)]
        first = [device_.spool.acknowledgements.get(timeout=PATIENCE_S) for _ in range(30)]
        assert set(first) == set(ids)
        device_.until_acknowledged({report})
    assert device_.spool.stats().quarantined_count == 0


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize("blamed", [False, True])
def test_a_message_at_which_the_broker_hangs_up_is_found_and_quarantined(version: str, *, blamed: bool) -> None:
    """A 3.1.1 broker has no other way to refuse, and some MQTT 5 brokers do the same, with or without a reason."""

    def script(session: Session) -> None:
        session.accept()
        for message in session.publishes():
            if message.kind == "report":
                if blamed and version == "5":
                    session.disconnect(TOO_LARGE, ReasonString="too large")
                return
            if message.qos:
                session.acknowledge(message)

    with scripted_broker(script) as broker, scope(broker.port, version=version, start=False) as device_:
        ids = [device_.append() for _ in range(10)]
        report = device_.append(topic=TOPICS.report)
        ids += [device_.append() for _ in range(10)]
        device_.publisher.start()
        device_.until_acknowledged(set(ids))
        message_id, code, _ = device_.next_quarantined()
        assert (message_id, code) == (report, "broker_dropped")
    stats = device_.spool.stats()
    assert (stats.acknowledged_count, stats.quarantined_count) == (20, 1)


def test_an_acknowledgement_that_cannot_be_read_costs_its_message_alone() -> None:
    """mosquitto answers a message above message_size_limit with a reason that is not allowed in a PUBACK."""

    def script(session: Session) -> None:
        session.accept()
        for message in session.publishes():
            if message.qos:
                session.acknowledge(message, TOO_LARGE if message.kind == "report" else 0)

    with scripted_broker(script) as broker, scope(broker.port) as device_:
        report = device_.append(topic=TOPICS.report)
        ids = [device_.append() for _ in range(10)]
        device_.until_acknowledged(set(ids))
        assert device_.next_quarantined()[0] == report


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_a_real_broker_that_takes_no_large_messages_gets_all_others(mosquitto: str, version: str) -> None:
    port = free_port()
    with (
        run_mosquitto(mosquitto, port, extra_configuration="allow_anonymous true\nmax_packet_size 1000"),
        scope(port, version=version) as device_,
    ):
        large = device_.append(json.dumps({"replayed": False, "x": "y" * 2000}).encode())
        ids = [device_.append() for _ in range(10)]
        device_.until_acknowledged(set(ids))
        message_id, code, reason = device_.next_quarantined()
        assert message_id == large
        # In 3.1.1, the broker does not announce its limit on the size of a packet: it hangs up.
        assert code == ("message_too_large" if version == "5" else "broker_dropped")
        assert version == "3.1.1" or "1000" in reason


def test_a_message_that_is_never_acknowledged_costs_its_own_delivery_alone() -> None:
    def script(session: Session) -> None:
        session.accept()
        for message in session.publishes():
            if message.qos and message.kind != "report":
                session.acknowledge(message)

    with scripted_broker(script) as broker, scope(broker.port, acknowledge_s=1) as device_:
        report = device_.append(topic=TOPICS.report)
        ids = [device_.append() for _ in range(10)]
        device_.until_acknowledged(set(ids))
        assert device_.next_quarantined()[0] == report


def test_what_the_device_says_of_itself_may_be_refused_without_a_loop() -> None:
    script = refusing(lambda message: message.kind in {"info", "answer", "status"}, NOT_AUTHORIZED)
    with scripted_broker(script) as broker, scope(broker.port) as device_:
        device_.publisher.set_retained(TOPICS.info, b"{}")
        device_.until_connected()
        request = Request("ping", b"{}", False, None, f"{TOPICS.answers}ping", None, False)
        device_.publisher.answer(request, b"{}")
        device_.publisher.set_status(StatusState.READY)
        ids = [device_.append() for _ in range(5)]
        device_.until_acknowledged(set(ids))
        device_.publisher.stop()
        assert broker.connects.qsize() == 1
        kinds = [broker.published.get().kind for _ in range(broker.published.qsize())]
    assert (kinds.count("info"), kinds.count("answer")) == (1, 1)


@pytest.mark.parametrize("kind", ["info", "answer", "status"])
def test_a_broker_that_hangs_up_at_what_the_device_says_of_itself_still_gets_the_results(kind: str) -> None:
    def script(session: Session) -> None:
        session.accept()
        for message in session.publishes():
            if message.kind == kind:
                return
            if message.qos:
                session.acknowledge(message)

    with scripted_broker(script) as broker, scope(broker.port, version="3.1.1") as device_:
        device_.publisher.set_retained(TOPICS.info, b"{}")
        request = Request("ping", b"{}", False, None, f"{TOPICS.answers}ping", None, False)
        device_.publisher.answer(request, b"{}")
        ids = [device_.append() for _ in range(5)]
        device_.until_acknowledged(set(ids))
    assert device_.spool.stats().quarantined_count == 0


def test_a_broker_that_hangs_up_at_a_subscription_still_gets_the_results() -> None:
    def script(session: Session) -> None:
        session.accept()
        for message in session.publishes(subscription=None):
            if message.qos:
                session.acknowledge(message)

    with scripted_broker(script) as broker, scope(broker.port) as device_:
        ids = [device_.append() for _ in range(5)]
        device_.until_acknowledged(set(ids))


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_a_broker_that_hangs_up_at_everything_costs_nothing_and_gets_everything_later(version: str) -> None:
    repaired = threading.Event()
    tried = threading.Semaphore(0)

    def script(session: Session) -> None:
        session.accept()
        for message in session.publishes():
            if not repaired.is_set():
                tried.release()
                return
            if message.qos:
                session.acknowledge(message)

    with scripted_broker(script) as broker, scope(broker.port, version=version) as device_:
        device_.publisher.set_retained(TOPICS.info, b"{}")
        ids = {device_.append() for _ in range(5)}
        for _ in range(14):
            assert tried.acquire(timeout=PATIENCE_S)
        assert device_.spool.stats().quarantined_count == 0
        repaired.set()
        device_.until_acknowledged(ids)
        device_.publisher.set_status(StatusState.READY)
        device_.publisher.stop()
        kinds = {broker.published.get().kind for _ in range(broker.published.qsize())}
    assert kinds == {"info", "status", "result"}
    assert device_.spool.stats().quarantined_count == 0


def test_a_quota_that_refuses_all_results_is_told_and_they_wait() -> None:
    full = threading.Event()
    full.set()
    script = refusing(lambda message: message.kind == "result" and full.is_set(), QUOTA)
    with scripted_broker(script) as broker, scope(broker.port) as device_:
        ids = {device_.append() for _ in range(5)}
        state = device_.until(lambda state: state.error is not None)
        assert state.connected
        assert isinstance(state.error, BrokerLimits)
        full.clear()
        device_.until_acknowledged(ids)
        device_.until(lambda state: state.error is None)


def test_a_refused_subscription_is_told_and_nothing_else_suffers() -> None:
    def script(session: Session) -> None:
        session.accept()
        for message in session.publishes(subscription=NOT_AUTHORIZED):
            if message.qos:
                session.acknowledge(message)

    with scripted_broker(script) as broker, scope(broker.port) as device_:
        state = device_.until(lambda state: state.error is not None)
        assert state.connected
        assert state.error is not None
        assert "commands" in state.error.message
        device_.until_acknowledged({device_.append()})


DAMAGED = [b"not json", b"[1]", b"7", b"", b"\xff\xfe", b'{"a":', b"{" * 60_000]


def test_damaged_payloads_never_stop_the_publisher(broker_port: int) -> None:
    with scope(broker_port, start=False) as device_:
        bad = {device_.append(payload) for payload in DAMAGED}
        good = device_.append()
        device_.publisher.start()
        device_.until_acknowledged({good})
        found = [device_.next_quarantined() for _ in DAMAGED]
        assert {message_id for message_id, _, _ in found} == bad
        assert {code for _, code, _ in found} == {"message_damaged"}


@pytest.mark.parametrize(
    "topic",
    ["", "a/+/b", "a/#", "a\0b", "x" * 70_000, "a/\ud800"],
    ids=["empty", "one-level", "all-levels", "null", "too-long", "no-utf8"],
)
def test_a_topic_that_cannot_be_published_never_stops_the_publisher(broker_port: int, topic: str) -> None:
    with scope(broker_port, start=False) as device_:
        bad = uuid7()
        device_.spool.append(Message(bad, topic, b'{"replayed":false}'))
        good = device_.append()
        device_.publisher.start()
        device_.until_acknowledged({good})
        assert device_.next_quarantined()[:2] == (bad, "message_damaged")


def test_a_damaged_message_on_the_disk_is_quarantined_at_the_next_start(tmp_path: Path, broker_port: int) -> None:
    spool = SqliteSpool(tmp_path, SpoolLimits(max_bytes=2**20, max_age_s=3600, commit_delay_s=0))
    spool.append(Message(uuid7(), TOPICS.report, b'{"replayed":fal'))
    spool.append(Message(uuid7(), TOPICS.result("camera0"), b'{"replayed":false}'))
    assert spool.flush(PATIENCE_S)
    spool.close()
    watcher = Subscriber(broker_port, raw=True)
    with device(tmp_path, broker_port) as again:
        assert json.loads(watcher.next("result").payload)["replayed"] is True
    stats = again.spool.stats()
    assert (stats.waiting_count, stats.quarantined_count) == (0, 1)
    watcher.close()


def test_a_renamed_device_leaves_nothing_under_its_old_name(broker_port: int) -> None:
    spool = WatchedSpool()
    with scope(broker_port, spool=spool) as before:
        before.publisher.set_retained(TOPICS.info, b'{"old":1}')
        before.publisher.set_retained(TOPICS.health, b'{"old":1}')
        before.until_acknowledged({before.append()})
    after_name = Topics("clinic", "scope-2")
    watcher = Subscriber(broker_port, raw=True)
    old = {watcher.next(kind).topic for kind in ("info", "health")}
    assert old == {TOPICS.info, TOPICS.health}
    with scope(broker_port, spool=spool, topics=after_name) as after:
        cleared = [watcher.next(kind) for kind in ("health", "info", "status")]
        assert [message.topic for message in cleared] == [TOPICS.health, TOPICS.info, TOPICS.status]
        assert all(not message.payload for message in cleared)
        after.until_acknowledged({after.append()})
    watcher.close()
    late = Subscriber(broker_port, raw=True)
    assert late.next("status").topic == after_name.status
    late.close()
    assert set(spool.state_entries("retained_topic:")) == {f"retained_topic:{after_name.status}"}


def test_old_topics_that_the_broker_does_not_let_it_clear_hold_nothing_up(mosquitto: str, tmp_path: Path) -> None:
    spool = WatchedSpool()
    spool.write_state_entries({f"retained_topic:{TOPICS.info}": b""})
    name = Topics("clinic", "scope-2")
    with (
        mosquitto_with_rights(mosquitto, tmp_path, f"topic write {name.prefix}/#\n") as port,
        scope(port, spool=spool, topics=name) as renamed,
    ):
        renamed.until_acknowledged({renamed.append()})
    assert f"retained_topic:{TOPICS.info}" in spool.state_entries("retained_topic:")
