"""Who may talk to whom. The broker runs with the shipped configuration."""

from __future__ import annotations

import queue
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
import trustme
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from uuid_utils.compat import uuid7

from edge_agent.cli.local_broker import free_port, run_mosquitto
from edge_agent.contracts import Topics
from edge_agent.errors import BrokerRefused, BrokerUnreachable, BrokerUntrusted, CertificateTime, ConfigError
from edge_agent.mqtt import BrokerState, MqttSettings, Publisher
from edge_agent.spool import MemorySpool, Message
from tests.mqtt import PATIENCE_S

MINE, OTHERS = Topics("clinic", "scope-1"), Topics("clinic", "scope-2")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of the shipped script."""
    folder = tmp_path_factory.mktemp("trial") / "certificates"
    script = Path(__file__).parents[2] / "deploy" / "mosquitto" / "make-trial-certificates"
    names = ("clinic/scope-1", "clinic/scope-2", "dashboard", "homeassistant")
    subprocess.run([script, folder, "localhost", *names], check=True)
    return folder


@contextmanager
def shipped_broker(mosquitto: str, folder: Path, certificates: Path, deploy: Path) -> Iterator[int]:
    """mosquitto with ``deploy/mosquitto``, except for paths, port and address."""
    place = folder / "etc"
    shutil.copytree(certificates, place)
    shutil.copy(deploy / "acl", place)
    port = free_port()
    lines = (deploy / "mosquitto.conf").read_text().replace("/etc/mosquitto/leukoscope", str(place)).splitlines()
    own = ("listener ", "persistence")
    with run_mosquitto(mosquitto, port, extra_configuration="\n".join(["user root", *_without(lines, own)])):
        yield port


def _without(lines: list[str], beginnings: tuple[str, ...]) -> list[str]:
    return [line for line in lines if not line.startswith(beginnings)]


@pytest.fixture
def broker(mosquitto: str, tmp_path: Path, certificates: Path, repository: Path) -> Iterator[int]:
    with shipped_broker(mosquitto, tmp_path, certificates, repository / "deploy" / "mosquitto") as port:
        yield port


class Device:
    def __init__(self, port: int, topics: Topics = MINE, **tls: Path | None) -> None:
        self.states: queue.SimpleQueue[BrokerState] = queue.SimpleQueue()
        self.spool = MemorySpool(2**20)
        settings = MqttSettings.model_validate(
            {"host": "localhost", "port": port, "reconnect_max_s": 1, "tls": tls, "drain_s": 1}
        )
        self.publisher = Publisher(settings, topics, self.spool, uuid7(), on_state=self.states.put)
        self.publisher.start()

    def until(self, wanted: Callable[[BrokerState], bool]) -> BrokerState:
        while True:
            state = self.states.get(timeout=PATIENCE_S)
            if wanted(state):
                return state


@contextmanager
def device(port: int, topics: Topics = MINE, **tls: Path | None) -> Iterator[Device]:
    found = Device(port, topics, **tls)
    try:
        yield found
    finally:
        found.publisher.stop()


def mine(certificates: Path, name: str = "clinic.scope-1") -> dict[str, Path | None]:
    return {
        "ca_file": certificates / "ca.crt",
        "certificate_file": certificates / f"{name}.crt",
        "key_file": certificates / f"{name}.key",
    }


def test_a_device_with_its_certificate_delivers(broker: int, certificates: Path) -> None:
    with device(broker, MINE, **mine(certificates)) as scope:
        assert scope.until(lambda state: state.connected).error is None
        scope.spool.append(Message(uuid7(), MINE.event, b'{"replayed":false}'))
        scope.publisher.wake()
    assert scope.spool.stats().acknowledged_count == 1


def test_a_device_may_not_write_below_anothers_prefix(broker: int, certificates: Path) -> None:
    with device(broker, MINE, **mine(certificates)) as scope:
        scope.until(lambda state: state.connected)
        scope.spool.append(Message(uuid7(), OTHERS.event, b'{"replayed":false}'))
        scope.spool.append(Message(uuid7(), MINE.event, b'{"replayed":false}'))
        scope.publisher.wake()
    stats = scope.spool.stats()
    assert (stats.acknowledged_count, stats.quarantined_count) == (1, 1)
    (quarantined,) = scope.spool.pop_quarantined_messages()
    assert quarantined.topic == OTHERS.event


def test_a_device_that_calls_itself_another_reaches_nobody(broker: int, certificates: Path) -> None:
    with device(broker, OTHERS, **mine(certificates)) as scope:
        scope.spool.append(Message(uuid7(), OTHERS.event, b'{"replayed":false}'))
        state = scope.until(lambda state: state.error is not None)
        assert isinstance(state.error, BrokerRefused)
    assert scope.spool.stats().acknowledged_count == 0


def test_a_device_reads_its_own_commands_alone(broker: int, certificates: Path) -> None:
    """mosquitto's access list lets anybody subscribe to anything, but not receive it."""
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()
    ready = threading.Event()
    with (
        client(broker, certificates, "clinic.scope-1") as scope,
        client(broker, certificates, "dashboard") as board,
    ):
        scope.on_subscribe = lambda *_: ready.set()
        scope.on_message = lambda _client, _data, message: heard.put(message.topic)
        scope.subscribe("leukoscope/v1/+/+/command/+", qos=1)
        assert ready.wait(PATIENCE_S)
        for who in (OTHERS, MINE):
            board.publish(f"{who.prefix}/command/pause", b"{}", qos=1).wait_for_publish(PATIENCE_S)
        # Messages of one sender keep their order: those of the other device would have arrived first.
        assert heard.get(timeout=PATIENCE_S) == f"{MINE.prefix}/command/pause"


def test_a_device_announces_itself_to_home_assistant_and_nobody_else(broker: int, certificates: Path) -> None:
    own, other = (f"homeassistant/device/{topics.site}/{topics.device}/config" for topics in (MINE, OTHERS))
    with device(broker, MINE, **mine(certificates)) as scope:
        scope.until(lambda state: state.connected)
        scope.publisher.set_retained(other, b"{}")
        state = scope.until(lambda state: state.error is not None)
        assert isinstance(state.error, BrokerRefused)
        assert state.error.remedy == f"Allow this device to write on {other} at the broker."
        scope.publisher.set_retained(own, b"{}")
    with client(broker, certificates, "homeassistant") as home:
        announced: queue.SimpleQueue[str] = queue.SimpleQueue()
        home.on_message = lambda _client, _data, message: announced.put(message.topic)
        home.subscribe("homeassistant/device/#", qos=1)
        assert announced.get(timeout=PATIENCE_S) == own


def test_home_assistant_says_to_devices_that_it_started_and_commands_none_unless_it_may(
    broker: int, certificates: Path
) -> None:
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()
    ready = threading.Event()
    with (
        client(broker, certificates, "clinic.scope-1") as scope,
        client(broker, certificates, "homeassistant") as home,
    ):
        scope.on_subscribe = lambda *_: ready.set()
        scope.on_message = lambda _client, _data, message: heard.put(message.topic)
        scope.subscribe([(f"{MINE.prefix}/command/+", 1), ("homeassistant/status", 1)])
        assert ready.wait(PATIENCE_S)
        for topic in (f"{MINE.prefix}/command/pause", "homeassistant/status"):
            home.publish(topic, b"online", qos=1).wait_for_publish(PATIENCE_S)
        assert heard.get(timeout=PATIENCE_S) == "homeassistant/status"


@contextmanager
def client(port: int, certificates: Path, name: str) -> Iterator[mqtt.Client]:
    connected = threading.Event()
    found = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)
    found.tls_set(str(certificates / "ca.crt"), str(certificates / f"{name}.crt"), str(certificates / f"{name}.key"))
    found.on_connect = lambda *_: connected.set()
    found.connect("localhost", port)
    found.loop_start()
    assert connected.wait(PATIENCE_S)
    yield found
    found.disconnect()
    found.loop_stop()


def test_without_a_certificate_nobody_gets_in(broker: int, certificates: Path) -> None:
    with device(broker, ca_file=certificates / "ca.crt") as stranger:
        state = stranger.until(lambda state: state.error is not None)
        assert isinstance(state.error, BrokerUnreachable | BrokerRefused)
        assert not state.connected


def test_a_broker_of_another_authority_gets_nothing(broker: int, tmp_path: Path) -> None:
    other = tmp_path / "other.crt"
    trustme.CA().cert_pem.write_to_path(other)
    with device(broker, ca_file=other) as scope:
        state = scope.until(lambda state: state.error is not None)
        assert isinstance(state.error, BrokerUntrusted)


@pytest.fixture
def presents(mosquitto: str, tmp_path: Path) -> Iterator[Callable[[trustme.LeafCert], int]]:
    """A broker with a certificate that the test chooses."""
    with ExitStack() as stack:

        def run(certificate: trustme.LeafCert) -> int:
            certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
            certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
            port = free_port()
            lines = f"user root\nallow_anonymous true\ncertfile {tmp_path}/cert.pem\nkeyfile {tmp_path}/key.pem"
            stack.enter_context(run_mosquitto(mosquitto, port, extra_configuration=lines))
            return port

        yield run


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    found = trustme.CA()
    found.cert_pem.write_to_path(tmp_path / "authority.pem")
    return found


def test_a_certificate_for_another_name_is_not_trusted(
    presents: Callable[[trustme.LeafCert], int], authority: trustme.CA, tmp_path: Path
) -> None:
    port = presents(authority.issue_cert("broker.example"))
    with device(port, ca_file=tmp_path / "authority.pem") as scope:
        state = scope.until(lambda state: state.error is not None)
        assert isinstance(state.error, BrokerUntrusted)
        assert "localhost" in state.error.message


@pytest.mark.parametrize(("begins_days", "ends_days"), [(-20, -10), (10, 20)])
def test_a_certificate_out_of_its_time_names_the_clock(
    presents: Callable[[trustme.LeafCert], int],
    authority: trustme.CA,
    tmp_path: Path,
    begins_days: int,
    ends_days: int,
) -> None:
    now = datetime.now(UTC)
    certificate = authority.issue_cert(
        "localhost", not_before=now + timedelta(days=begins_days), not_after=now + timedelta(days=ends_days)
    )
    port = presents(certificate)
    with device(port, ca_file=tmp_path / "authority.pem") as scope:
        state = scope.until(lambda state: state.error is not None)
        assert isinstance(state.error, CertificateTime)
        assert "clock" in state.error.remedy


def test_a_right_certificate_is_trusted(
    presents: Callable[[trustme.LeafCert], int], authority: trustme.CA, tmp_path: Path
) -> None:
    port = presents(authority.issue_cert("localhost"))
    with device(port, ca_file=tmp_path / "authority.pem") as scope:
        assert scope.until(lambda state: state.connected).error is None


def test_files_that_cannot_be_used_are_named(tmp_path: Path, certificates: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("not a certificate")
    for tls, named in (
        ({"ca_file": nothing}, "ca_file"),
        ({"ca_file": tmp_path / "absent.pem"}, "ca_file"),
        ({"certificate_file": nothing, "key_file": nothing}, "certificate_file"),
        (
            {"certificate_file": certificates / "clinic.scope-1.crt", "key_file": certificates / "dashboard.key"},
            "key_file",
        ),
    ):
        settings = MqttSettings.model_validate({"tls": tls})
        assert settings.tls is not None
        with pytest.raises(ConfigError, match=named):
            settings.tls.context()
