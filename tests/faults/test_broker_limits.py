"""Brokers that can do less than others, brokers that misbehave, and peers that are not brokers."""

from __future__ import annotations

import http.server
import json
import queue
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
import trustme
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge_agent.cli.local_broker import free_port, run_amqtt, run_mosquitto
from edge_agent.contracts import Info, Status, StatusState
from edge_agent.errors import BrokerForeign, BrokerLimits, BrokerRefused, BrokerSessionTaken, EdgeAgentError
from edge_agent.mqtt import MqttSettings
from edge_agent.mqtt.credentials import client_id
from edge_agent.mqtt.probe import probe_broker
from tests.faults.proxy import bad_proxy
from tests.mqtt import PATIENCE_S, Subscriber
from tests.publishing import TOPICS, Scope, scope
from tests.scripted_broker import LOOPBACK, Publish, Session, polite, scripted_broker


@pytest.mark.parametrize("maximum", [1, 3])
def test_no_more_than_the_receive_maximum_is_ever_unacknowledged(maximum: int) -> None:
    """Counts all kinds of messages together; at one too many, this broker ends the connection, as it may."""
    held: list[Publish] = []

    def script(session: Session) -> None:
        held.clear()
        session.accept(ReceiveMaximum=maximum, ServerKeepAlive=1)

        def acknowledge() -> None:
            # A client that pings has sent everything that it wants to send.
            for each in held:
                session.acknowledge(each)
            held.clear()

        for message in session.publishes(on_ping=acknowledge):
            if message.qos:
                held.append(message)
            if len(held) > maximum:
                session.disconnect(0x93)

    with scripted_broker(script) as broker, scope(broker.port, start=False) as device:
        device.publisher.set_retained(TOPICS.info, b"{}")
        device.publisher.set_retained(TOPICS.health, b"{}")
        ids = {device.append() for _ in range(4)}
        device.publisher.start()
        device.until_acknowledged(ids)
        assert broker.connects.qsize() == 1


@pytest.mark.parametrize("limit", ["max_inflight_messages 1", "max_inflight_messages 3"])
def test_a_real_broker_with_a_small_window_gets_everything(mosquitto: str, limit: str) -> None:
    port = free_port()
    with run_mosquitto(mosquitto, port, extra_configuration=f"allow_anonymous true\n{limit}"), scope(port) as device:
        device.publisher.set_retained(TOPICS.info, b"{}")
        device.until_acknowledged({device.append() for _ in range(50)})


def test_a_message_just_as_large_as_the_broker_takes_is_sent_and_a_larger_one_quarantined() -> None:
    payload = json.dumps({"replayed": True, "x": "y" * 500}, separators=(",", ":")).encode()
    topic = TOPICS.result("camera0")
    # Two bytes of topic length, two of packet number, one of properties, three of fixed header.
    size = len(payload) + len(topic) + 8

    def script(session: Session) -> None:
        session.accept(MaximumPacketSize=size)
        for message in session.publishes():
            if message.qos:
                session.acknowledge(message)

    with scripted_broker(script) as broker, scope(broker.port, start=False) as device:
        device.publisher.set_retained(TOPICS.info, b"x" * size)
        fitting = device.append(payload)
        larger = device.append(payload.replace(b"yy", b"yyy", 1))
        device.publisher.start()
        device.until_acknowledged({fitting})
        message_id, code, reason = device.next_quarantined()
        assert (message_id, code) == (larger, "message_too_large")
        assert str(size) in reason
        device.publisher.stop()
        kinds = [broker.published.get().kind for _ in range(broker.published.qsize())]
    assert "info" not in kinds


def test_a_broker_that_takes_qos_0_alone_is_told_the_status_and_the_results_wait(mosquitto: str) -> None:
    port = free_port()
    with run_mosquitto(mosquitto, port, extra_configuration="allow_anonymous true\nmax_qos 0"), scope(port) as device:
        device.append()
        state = device.until_connected()
        assert isinstance(state.error, BrokerLimits)
        watcher = Subscriber(port)
        device.publisher.set_status(StatusState.READY)
        watcher.until_state("ready")
        watcher.close()
    stats = device.spool.stats()
    assert (stats.waiting_count, stats.quarantined_count) == (1, 0)


@pytest.mark.parametrize("version", ["auto", "3.1.1"])
def test_a_broker_without_retained_messages_gets_everything_else_and_it_is_said(mosquitto: str, version: str) -> None:
    port = free_port()
    configuration = "allow_anonymous true\nretain_available false"
    with run_mosquitto(mosquitto, port, extra_configuration=configuration), scope(port, version=version) as device:
        device.publisher.set_retained(TOPICS.info, b"{}")
        state = device.until_connected()
        assert isinstance(state.error, BrokerLimits)
        device.until_acknowledged({device.append() for _ in range(5)})
    assert device.spool.state_entries("retained_topic:") == {}


def test_without_wildcards_there_are_no_commands_and_everything_else() -> None:
    def script(session: Session) -> None:
        session.accept(WildcardSubscriptionAvailable=0)
        for message in session.publishes():
            if message.qos:
                session.acknowledge(message)

    with scripted_broker(script) as broker, scope(broker.port) as device:
        assert isinstance(device.until_connected().error, BrokerLimits)
        device.until_acknowledged({device.append()})
        device.publisher.stop()
        assert broker.connects.qsize() == 1
        # Topics that need no wildcard still work.
        assert broker.subscriptions.get(timeout=PATIENCE_S) == device.topics.model_desired
        assert broker.subscriptions.empty()


def test_the_brokers_keep_alive_counts() -> None:
    def script(session: Session) -> None:
        session.accept(ServerKeepAlive=1)
        for message in session.publishes():
            if message.qos:
                session.acknowledge(message)

    with scripted_broker(script) as broker, scope(broker.port, keepalive_s=3600):
        assert broker.pings.acquire(timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (0x80, "broker_dropped"),
        (0x87, "broker_refused"),
        (0x8B, "broker_unreachable"),
        (0x8D, "broker_dropped"),
        (0x8E, "broker_session_taken"),
        (0x93, "broker_limits"),
        (0x97, "broker_limits"),
        (0x98, "broker_dropped"),
        (0x9D, "broker_moved"),
    ],
)
def test_the_reason_of_a_disconnect_is_told_with_its_code_and_words(reason: int, code: str) -> None:
    def script(session: Session) -> None:
        session.accept()
        if session.number == 1:
            session.disconnect(reason, ReasonString="so it is", ServerReference="other.example")
        for _ in session.publishes():
            pass

    with scripted_broker(script) as broker, scope(broker.port) as device:
        error = device.until(lambda state: state.error is not None).error
        assert error is not None
        assert error.code == code
        assert "so it is" in error.message
    assert device.spool.stats().quarantined_count == 0


def test_the_words_of_a_refused_connection_are_told() -> None:
    def script(session: Session) -> None:
        session.refuse(0x87, ReasonString="not\nyou")

    with scripted_broker(script) as broker, scope(broker.port) as device:
        error = device.until(lambda state: state.error is not None).error
        assert isinstance(error, BrokerRefused)
        assert "not\\nyou" in error.message


def test_two_devices_of_one_name_are_told_so_and_do_not_push_each_other_out_all_day(broker_port: int) -> None:
    """mosquitto 2.0.11 ends the older connection silently; the status that the other left behind shows the cause."""
    with scope(broker_port, reconnect_max_s=600) as first:
        first.until_connected()
        with scope(broker_port, reconnect_max_s=600) as second:
            second.until_connected()
            for device in (first, second):
                error = device.until(lambda state: isinstance(state.error, BrokerSessionTaken)).error
                assert error is not None
                assert "clinic/scope-1" in error.message
            # The first, knowing why it was pushed out, now waits for long; the second is not disturbed.
            first.until(lambda state: not state.connected)
            second.until_acknowledged({second.append()})


def test_a_device_that_loses_its_connection_takes_itself_for_nobody_else(broker_port: int) -> None:
    with bad_proxy(broker_port) as proxy, scope(proxy.port) as device:
        for _ in range(3):
            device.until_connected()
            device.until_acknowledged({device.append()})
            proxy.cut()
            state = device.until(lambda state: not state.connected)
            assert not isinstance(state.error, BrokerSessionTaken)


def test_an_old_status_of_this_device_itself_is_no_rival(info: Info, broker_port: int) -> None:
    """A broker that crashed and lost later messages has such a status."""
    at = datetime.now(UTC) - timedelta(hours=1)
    status = Status(device="scope-1", session=info.session, state=StatusState.READY, code=None, at=at)
    with bad_proxy(broker_port) as proxy, scope(proxy.port) as device:
        device.until_connected()
        proxy.stall()
        proxy.cut()
        device.until(lambda state: not state.connected)
        other = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="crashed", protocol=MQTTProtocolVersion.MQTTv5)
        other.connect(LOOPBACK, broker_port)
        other.loop_start()
        other.publish(TOPICS.status, status.to_json(), qos=1, retain=True).wait_for_publish(PATIENCE_S)
        other.disconnect()
        other.loop_stop()
        proxy.flow()
        device.until_connected()
        device.until_acknowledged({device.append()})
        assert device.publisher.broker.error is None


def test_a_broker_that_soon_ends_each_connection_is_asked_ever_more_rarely_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures: queue.SimpleQueue[int] = queue.SimpleQueue()

    def no_pause_s(failures_count: int, _max_s: float) -> float:
        failures.put(failures_count)
        return 0.0

    monkeypatch.setattr("edge_agent.mqtt.backoff.pause_s", no_pause_s)

    def script(session: Session) -> None:
        session.accept()
        for _ in session.publishes():
            return

    with scripted_broker(script) as broker, scope(broker.port) as device:
        device.until(lambda state: state.error is not None and state.error.code == "broker_dropped")
        # One more failure for each connection, although the broker accepted all of them.
        assert [failures.get(timeout=PATIENCE_S) for _ in range(4)] == [1, 2, 3, 4]


def hanging_up(count: int, then: Callable[[Session], None] = polite) -> Callable[[Session], None]:
    def script(session: Session) -> None:
        if session.number > count:
            then(session)

    return script


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_a_broker_that_hangs_up_while_it_starts_is_spoken_to_in_5(count: int) -> None:
    with scripted_broker(hanging_up(count)) as broker, scope(broker.port) as device:
        assert device.until_connected().version == "5"
        device.until_acknowledged({device.append()})


def test_a_broker_that_has_got_mqtt_5_since_the_last_connection_is_spoken_to_in_5() -> None:
    sessions: queue.SimpleQueue[Session] = queue.SimpleQueue()
    cut = threading.Event()

    def script(session: Session) -> None:
        if session.connect.level == 5 and not cut.is_set():
            session.refuse(0x84)
            return
        sessions.put(session)
        if not cut.is_set():
            session.accept()
            cut.wait(PATIENCE_S)
            return
        polite(session)

    with scripted_broker(script) as broker, scope(broker.port) as device:
        assert device.until_connected().version == "3.1.1"
        cut.set()
        device.until(lambda state: not state.connected)
        assert device.until_connected().version == "5"


def test_a_broker_without_mqtt_5_is_asked_for_5_and_spoken_to_in_3_1_1(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("amqtt", reason="the embedded broker is not installed")
    monkeypatch.setattr("edge_agent.mqtt.connection.ANSWER_DEADLINE_S", 0.3)
    port = free_port()
    with run_amqtt(port):
        found = probe_broker(MqttSettings(port=port, keepalive_s=5), "clinic", "scope-1")
    assert found.version == "3.1.1"


@contextmanager
def web_server(context: ssl.SSLContext | None = None) -> Iterator[int]:
    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Quiet)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that speaks no HTTP
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    found = trustme.CA()
    found.cert_pem.write_to_path(tmp_path / "authority.pem")
    return found


@pytest.fixture
def served(authority: trustme.CA, tmp_path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.issue_cert("localhost")
    certificate.configure_cert(context)
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    return context


def first_error(device: Scope) -> EdgeAgentError:
    error = device.until(lambda state: state.error is not None).error
    assert error is not None
    return error


def test_a_web_server_is_recognised(served: ssl.SSLContext, tmp_path: Path) -> None:
    tls = {"ca_file": tmp_path / "authority.pem"}
    with web_server() as port, scope(port) as device:
        error = first_error(device)
        assert isinstance(error, BrokerForeign)
        assert "web server" in error.message
    with web_server(served) as port, scope(port, host="localhost", tls=tls) as device:
        error = first_error(device)
        assert isinstance(error, BrokerForeign)
        assert "web server" in error.message


def test_a_broker_that_expects_tls_is_recognised_without_it(
    mosquitto: str, served: ssl.SSLContext, tmp_path: Path
) -> None:
    assert served
    port = free_port()
    lines = f"user root\nallow_anonymous true\ncertfile {tmp_path}/cert.pem\nkeyfile {tmp_path}/key.pem"
    with run_mosquitto(mosquitto, port, extra_configuration=lines), scope(port) as device:
        error = device.until(lambda state: isinstance(state.error, BrokerForeign)).error
        assert error is not None
        assert "[mqtt.tls]" in error.remedy
        with pytest.raises(BrokerForeign):
            probe_broker(MqttSettings(port=port), "clinic", "scope-1")


def test_a_broker_without_tls_is_recognised_with_it(broker_port: int, authority: trustme.CA, tmp_path: Path) -> None:
    assert authority
    with scope(broker_port, host="localhost", tls={"ca_file": tmp_path / "authority.pem"}) as device:
        error = first_error(device)
        assert isinstance(error, BrokerForeign)
        assert "does not speak TLS" in error.message


def test_a_broker_that_wants_a_certificate_says_so(mosquitto: str, served: ssl.SSLContext, tmp_path: Path) -> None:
    assert served
    port = free_port()
    lines = (
        f"user root\nallow_anonymous true\nrequire_certificate true\ncafile {tmp_path}/authority.pem\n"
        f"certfile {tmp_path}/cert.pem\nkeyfile {tmp_path}/key.pem"
    )
    tls = {"ca_file": tmp_path / "authority.pem"}
    with run_mosquitto(mosquitto, port, extra_configuration=lines), scope(port, host="localhost", tls=tls) as device:
        error = first_error(device)
        assert isinstance(error, BrokerRefused)
        assert "certificate_file" in error.remedy


def test_doctor_asks_under_a_name_that_begins_with_the_agents_and_disturbs_nobody() -> None:
    with scripted_broker() as broker, scope(broker.port) as device:
        device.until_connected()
        own = broker.connects.get(timeout=PATIENCE_S)
        found = probe_broker(MqttSettings(port=broker.port), TOPICS.site, TOPICS.device)
        asked = broker.connects.get(timeout=PATIENCE_S)
        assert own.client_id == client_id(TOPICS.site, TOPICS.device)
        assert asked.client_id.startswith(own.client_id)
        assert asked.client_id != own.client_id
        assert found.version == "5"
        assert device.publisher.broker.connected


def test_doctor_judges_what_the_broker_can_do(mosquitto: str) -> None:
    for limit in ("max_qos 0", "retain_available false"):
        port = free_port()
        with run_mosquitto(mosquitto, port, extra_configuration=f"allow_anonymous true\n{limit}"):
            found = probe_broker(MqttSettings(port=port), "clinic", "scope-1")
        assert isinstance(found.limits.problem("broker"), BrokerLimits)
