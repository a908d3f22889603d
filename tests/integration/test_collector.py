from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from sqlalchemy import Engine, event, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from uuid_utils.compat import uuid7

from edge_agent.cli.local_broker import find_mosquitto, free_port, run_mosquitto
from edge_agent.client.connection import Delivery
from edge_agent.client.settings import BrokerSettings
from edge_agent.collector.cli.app import app
from edge_agent.collector.config import CollectorConfig
from edge_agent.collector.service import Collector
from edge_agent.collector.settings import BatchSettings, DatabaseSettings, InstanceSettings
from edge_agent.collector.tables import devices, metadata, unreadable
from edge_agent.contracts import StatusState, Topics
from edge_agent.errors import BrokerDropped, DatabaseRefused
from tests.collecting import TOPICS, make_event, make_health, make_metrics, make_report, make_result, make_status
from tests.faults.collector_kills import kill_collectors
from tests.mqtt import PATIENCE_S
from tests.postgres import Postgres, run_postgres

SECRET = "s3cr3t-P4ssw0rd"


@pytest.fixture
def port() -> Iterator[int]:
    mosquitto = find_mosquitto()
    if mosquitto is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    port = free_port()
    with run_mosquitto(mosquitto, port, extra_configuration="allow_anonymous true\nmax_queued_messages 0"):
        yield port


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with run_postgres() as server:
        yield server


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'collected.db'}"


class Sender:
    """Publishes, and waits until the broker has the message."""

    def __init__(self, port: int) -> None:
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def send(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        self._client.publish(topic, payload, qos=qos, retain=retain).wait_for_publish(PATIENCE_S)

    def send_all(self, messages: list[tuple[str, bytes]]) -> None:
        sent = [self._client.publish(topic, payload, qos=1) for topic, payload in messages]
        for each in sent:
            each.wait_for_publish(PATIENCE_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def sender(port: int) -> Iterator[Sender]:
    sender = Sender(port)
    yield sender
    sender.close()


class Running:
    """A collector in its own thread."""

    def __init__(self, port: int, url: str, instance: str, **broker: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self.collector = Collector(
            CollectorConfig(
                collector=InstanceSettings(instance=instance, group="leukoscope-collectors"),
                mqtt=BrokerSettings(port=port, reconnect_max_s=1, **broker),
                database=DatabaseSettings(url=url),
                batch=BatchSettings(max_wait_ms=20),
            )
        )
        self.engine: Engine = self.collector.engine
        self._stop = asyncio.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self.collector.run(self._stop))
        except BaseException as error:  # noqa: BLE001 - raised by stop()
            self._error = error
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def start(self) -> None:
        self._connected = threading.Event()
        told = self.collector._on_broker

        def on_change(error: Any) -> None:
            told(error)
            self._connected.set()

        self.collector._connection._on_change = on_change
        self._thread.start()
        assert self._connected.wait(PATIENCE_S)

    def stop(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def rows(self, statement: Any) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(statement).all())

    def until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                if is_so():
                    return
            except SQLAlchemyError:
                # The tables or the server do not exist yet.
                time.sleep(0.02)
            assert time.monotonic() < deadline, self.collector.figures
            time.sleep(0.02)

    def until_stored(self, table: str, count: int) -> None:
        counted = select(func.count()).select_from(metadata.tables[table])
        self.until(lambda: self.rows(counted)[0][0] >= count)
        assert self.rows(counted)[0][0] == count


@contextmanager
def collecting(port: int, url: str, instance: str = "collector-1", **broker: Any) -> Iterator[Running]:
    running = Running(port, url, instance, **broker)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def send_results(sender: Sender, count: int, first: int = 0) -> None:
    sender.send_all([(TOPICS.result("camera0"), make_result(seq).to_json()) for seq in range(first, first + count)])


def test_everything_that_a_device_publishes_is_stored_once(port: int, url: str, sender: Sender) -> None:
    newest = make_result(1)
    with collecting(port, url) as running:
        sender.send(TOPICS.result("camera0"), make_result(0).to_json())
        for _ in range(3):
            sender.send(TOPICS.result("camera0"), newest.to_json())
        sender.send(TOPICS.last, newest.to_json(), retain=True)
        sender.send(TOPICS.event, make_event().to_json())
        sender.send(TOPICS.report, make_report().to_json())
        sender.send(TOPICS.metrics, make_metrics().to_json(), qos=0)
        for table, count in {"results": 2, "events": 1, "reports": 1, "metrics": 1}.items():
            running.until_stored(table, count)
        assert running.collector.figures.repeated_count == 2


def test_what_was_retained_before_a_collector_came_goes_into_devices(port: int, url: str, sender: Sender) -> None:
    sender.send(TOPICS.status, make_status().to_json(), retain=True)
    sender.send(TOPICS.health, make_health().to_json(), retain=True)
    with collecting(port, url) as one, collecting(port, url, "collector-2") as other:
        for running in (one, other):
            running.until(lambda: self_of(running) == ("ready", "ok"))  # noqa: B023 - called at once
        sender.send(TOPICS.status, make_status(StatusState.LOST).to_json(), retain=True)
        one.until(lambda: self_of(one) == ("lost", "ok"))
        # A cleared topic contains no message.
        sender.send(TOPICS.status, b"", retain=True)
        for running in (one, other):
            received_count = running.collector.figures.received_count
            running.until(lambda: received_count["status"] == 3)  # noqa: B023 - called at once
        assert self_of(one) == ("lost", "ok")
        assert one.collector.figures.unreadable_count.total() == 0


def self_of(running: Running) -> tuple[str, str] | None:
    for row in running.rows(select(devices)):
        return row.state, row.health_state
    return None


def test_bad_messages_are_kept_and_counted_and_hold_up_none(port: int, url: str, sender: Sender) -> None:
    topic = TOPICS.result("camera0")
    good = json.loads(make_result(1).to_json())
    bad = {
        "foreign": b'{"temperature": 21}',
        "future": json.dumps({**good, "schema": "leukoscope/result/v2"}).encode(),
        "damaged": b"\x00\xff",
        "too_large": b"x" * 1_000_000,
        "refused": json.dumps({**good, "id": str(uuid7()), "seq": 2**64}).encode(),
    }
    with collecting(port, url) as running:
        for payload in bad.values():
            sender.send(topic, payload)
            send_results(sender, 1)
        running.until_stored("results", len(bad))
        running.until_stored("unreadable", len(bad))
        assert running.collector.figures.unreadable_count == dict.fromkeys(bad, 1)
        kinds = {row.kind: row for row in running.rows(select(unreadable))}
        assert kinds["too_large"].size_bytes == 1_000_000
        assert len(kinds["too_large"].payload) < 10_000
    # None of them arrives again.
    with collecting(port, url) as running:
        send_results(sender, 1)
        running.until_stored("results", len(bad) + 1)
        assert running.collector.figures.unreadable_count.total() == 0


def test_two_collectors_share_the_load(port: int, url: str, sender: Sender) -> None:
    with collecting(port, url) as one, collecting(port, url, "collector-2") as other:
        send_results(sender, 20)
        one.until_stored("results", 20)
        shares = [each.collector.figures.received_count["result"] for each in (one, other)]
        assert sum(shares) == 20
        assert min(shares) > 0


def test_what_is_published_while_a_collector_is_away_waits_for_it(port: int, url: str, sender: Sender) -> None:
    with collecting(port, url):
        pass
    send_results(sender, 1500)
    with collecting(port, url, receive_maximum_count=10) as running:
        running.until_stored("results", 1500)


def test_a_full_disk_stops_acknowledging_and_nothing_is_lost(port: int, url: str, sender: Sender) -> None:
    with collecting(port, url, receive_maximum_count=50) as running:
        send_results(sender, 1)
        running.until_stored("results", 1)
        pages = running.rows(text("PRAGMA page_count"))[0][0]
        limit = [pages]

        # Each connection has its own limit.
        def limit_size(connection: sqlite3.Connection, *_: object) -> None:
            connection.execute(f"PRAGMA max_page_count = {limit[0]}")

        event.listen(running.engine, "checkout", limit_size)
        send_results(sender, 200, first=1)
        figures = running.collector.figures
        running.until(lambda: figures.database_error is not None and figures.retries_count > 1)
        assert figures.database_error is not None
        assert figures.database_error.code == "database_full"
        # Messages that are not stored are at the broker, except for those that it may send before an acknowledgement.
        assert figures.received_count["result"] == 51
        assert figures.waiting_count <= 50
        limit[0] = 1_000_000
        running.until_stored("results", 201)
        running.until(lambda: figures.database_error is None)


def test_what_a_lost_connection_leaves_is_not_there_twice(port: int, url: str) -> None:
    """The broker sends them again: if kept, they would fill the memory while the database is gone."""
    collector = Collector(CollectorConfig(mqtt=BrokerSettings(port=port), database=DatabaseSettings(url=url)))
    payload = make_result().to_json()
    delivery = Delivery(TOPICS.result("camera0"), payload, 1, False, datetime.now(UTC), None, None, lambda: None)
    collector._on_delivery(delivery)
    assert collector.figures.waiting_count == 1
    collector._on_broker(BrokerDropped("The connection was lost."))
    collector._on_delivery(delivery)
    assert collector.figures.waiting_count == 1
    collector.engine.dispose()


def test_a_database_that_is_gone_is_waited_for(postgres: Postgres, port: int, sender: Sender) -> None:
    with collecting(port, postgres.database(), receive_maximum_count=50) as running:
        send_results(sender, 1)
        running.until_stored("results", 1)
        postgres.kill()
        send_results(sender, 200, first=1)
        figures = running.collector.figures
        running.until(lambda: figures.database_error is not None)
        assert figures.database_error is not None
        assert figures.database_error.code == "database_unreachable"
        postgres.start()
        running.until_stored("results", 201)
        running.until(lambda: figures.database_error is None)


def test_a_collector_that_starts_before_its_database_waits_for_it(
    postgres: Postgres, port: int, sender: Sender
) -> None:
    url = postgres.database()
    postgres.kill()
    with collecting(port, url) as running:
        send_results(sender, 3)
        running.until(lambda: running.collector.figures.database_error is not None)
        postgres.start()
        running.until_stored("results", 3)


def test_a_wrong_password_is_one_clear_error_and_shows_nowhere(
    postgres: Postgres, tmp_path: Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    name = postgres.database().rpartition("/")[2]
    postgres.execute("CREATE ROLE collector LOGIN PASSWORD 'right-one'")
    postgres.require_password("collector")
    file = tmp_path / "password"
    file.write_text(SECRET)
    file.chmod(0o600)
    config = tmp_path / "collector.toml"
    config.write_text(
        f"[database]\nurl = 'postgresql://collector@127.0.0.1:{postgres.port}/{name}'\n"
        f"password_file = '{file}'\n[mqtt]\nport = {port}\n[log]\nlevel = 'debug'\n"
    )
    caplog.set_level(logging.DEBUG)
    for command in ("migrate", "status", "retention"):
        with pytest.raises(DatabaseRefused) as raised:
            app([command, "--config", str(config)], standalone_mode=False)
        assert SECRET not in "".join(traceback.format_exception(raised.value))
    process = subprocess.run(
        [sys.executable, "-m", "edge_agent.collector", "run", "--config", config],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert process.returncode == 1
    assert "error database_refused" in process.stderr
    assert "Traceback" not in process.stderr
    assert SECRET not in process.stdout + process.stderr + caplog.text


def test_status_says_what_is_stored(port: int, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "collector.toml"
    config.write_text(f"[database]\nurl = '{url}'\n")
    sender = Sender(port)
    with collecting(port, url) as running:
        far = Topics("south-clinic", "scope-1")
        sender.send(TOPICS.status, make_status().to_json(), retain=True)
        sender.send(TOPICS.result("camera0"), make_result(7).to_json())
        sender.send(far.result("camera0"), make_result(0, topics=far, captured_at="2099-01-01T00:00:00Z").to_json())
        running.until_stored("results", 2)
        running.until(lambda: len(running.rows(select(devices.c.state).where(devices.c.state == "ready"))) == 1)
    sender.close()
    app(["status", "--config", str(config), "--json"], standalone_mode=False)
    said = json.loads(capsys.readouterr().out)
    assert {each["table"]: each["rows_count"] for each in said["tables"]}["results"] == 2
    assert said["clock_far_off_count"] == 1
    assert [(each["site"], each["state"], each["newest_seq"]) for each in said["devices"]] == [
        ("north-clinic", "ready", 7),
        ("south-clinic", None, 0),
    ]
    assert said["collectors"][0]["stored_count"] == 2
    app(["status", "--config", str(config)], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "its clock is" in shown
    assert "Research use only" in shown


def test_kills_lose_and_double_nothing_on_sqlite(tmp_path: Path) -> None:
    report = kill_collectors(tmp_path, results_count=500, kills_count=2)
    assert report.is_well, report


def test_kills_lose_and_double_nothing_on_postgresql(postgres: Postgres, tmp_path: Path) -> None:
    report = kill_collectors(tmp_path, results_count=2000, kills_count=3, postgres=postgres, seed=2)
    assert report.is_well, report
    assert "postgresql" in report.kills_count
