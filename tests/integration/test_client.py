from __future__ import annotations

import asyncio
import getpass
import os
import re
import selectors
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import paho.mqtt.publish
import pytest
import trustme
from uuid_utils.compat import uuid7

from edge_agent.cli.local_broker import free_port, run_mosquitto
from edge_agent.client import BrokerSettings, Client, Message, Presence, broker_settings, read_recording
from edge_agent.contracts import AnswerState, Result, Topics
from edge_agent.errors import (
    BrokerRefused,
    BrokerUnreachable,
    BrokerUntrusted,
    CommandInvalid,
    CommandUnanswered,
    ConfigError,
    FileUnusable,
)
from edge_agent.mqtt.settings import MqttSettings
from edge_agent.testing.simulated_device import SimulatedDevice

PATIENCE_S = 60.0
CLINIC_A, CLINIC_B = Topics("clinic-a", "scope-1"), Topics("clinic-b", "scope-1")

Item = TypeVar("Item")


@contextmanager
def device(port: int, topics: Topics = CLINIC_A, folder: Path | None = None) -> Iterator[SimulatedDevice]:
    found = SimulatedDevice(topics, MqttSettings(port=port), folder=folder, replay_rate_hz=1000)
    found.start()
    try:
        yield found
    finally:
        found.stop()


async def take(items: AsyncIterator[Item], count: int) -> list[Item]:
    found: list[Item] = []
    async with asyncio.timeout(PATIENCE_S):
        async for item in items:
            found.append(item)
            if len(found) == count:
                break
    return found


async def until(client: Client, holds: Callable[[], bool]) -> None:
    """Wait for messages until ``holds`` is true."""
    messages = client.messages()
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await anext(messages)


def persistent_broker(mosquitto: str, port: int, folder: Path) -> Callable[[], AbstractContextManager[int]]:
    """A broker that keeps its sessions in ``folder`` across restarts."""
    # Without "user", mosquitto gives up root's rights, and could not write there.
    lines = (
        f"allow_anonymous true\nuser {getpass.getuser()}\npersistence true\npersistence_location {folder}/\n"
        "autosave_interval 1\nautosave_on_changes true"
    )
    return lambda: run_mosquitto(mosquitto, port, extra_configuration=lines)


def run(test: Callable[[], object]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]  # each test is a coroutine


def test_a_program_gets_the_results_of_every_clinic_once_and_knows_who_is_there(broker_port: int) -> None:
    async def test() -> None:
        async with Client(f"mqtt://127.0.0.1:{broker_port}") as client:
            results = client.results()
            with device(broker_port) as first, device(broker_port, CLINIC_B) as second:
                sent = [result for _ in range(5) for each in (first, second) if (result := each.read()) is not None]
                got = await take(results, len(sent))
                assert {each.id for each in got} == {each.id for each in sent}
                for site in ("clinic-a", "clinic-b"):
                    assert [each.seq for each in got if each.site == site] == [0, 1, 2, 3, 4]
                    found = client.devices.get(site, "scope-1")
                    assert found is not None
                    assert found.presence is Presence.READY
                assert client.gaps == ()

    run(test)


def test_a_device_that_leaves_is_reported(broker_port: int) -> None:
    async def test() -> None:
        async with Client(f"mqtt://127.0.0.1:{broker_port}") as client:
            changes = client.changes()
            with device(broker_port):
                assert [each.presence for each in await take(changes, 1)] == [Presence.READY]
            (gone,) = await take(changes, 1)
            assert gone.presence is Presence.DISCONNECTED
            assert gone.health is None

    run(test)


def test_a_command_is_answered_and_the_same_request_again_gets_the_same_answer(broker_port: int) -> None:
    async def test() -> None:
        async with Client(f"mqtt://127.0.0.1:{broker_port}", commands=True) as client:
            with device(broker_port):
                await until(client, lambda: client.devices.get("clinic-a", "scope-1") is not None)
                request_id = uuid7()
                answer = await client.request("clinic-a", "scope-1", "pause", request_id=request_id)
                assert (answer.state, answer.id) == (AnswerState.DONE, request_id)
                again = await client.request("clinic-a", "scope-1", "pause", request_id=request_id)
                assert (again.state, again.id) == (AnswerState.DONE, request_id)
                with pytest.raises(CommandInvalid, match="specimen"):
                    await client.request("clinic-a", "scope-1", "set-specimen", specimen="Erika")
                with pytest.raises(CommandUnanswered):
                    await client.request("clinic-a", "scope-2", "pause", timeout_s=0.2)

    run(test)


def test_what_is_no_message_of_a_device_is_counted_and_stops_nothing(broker_port: int) -> None:
    bad = [
        (CLINIC_A.event, b"{"),
        (CLINIC_A.report, b"x" * 1_000_000),
        (CLINIC_A.result("camera0"), b'{"schema": "leukoscope/result/v2"}'),
        (CLINIC_A.result("camera0"), b'{"temperature": 20}'),
    ]

    async def test() -> None:
        async with Client(f"mqtt://127.0.0.1:{broker_port}") as client:
            results = client.results()
            paho.mqtt.publish.multiple([(topic, body, 1, False) for topic, body in bad], port=broker_port)
            with device(broker_port) as found:
                found.read()
                assert [each.seq for each in await take(results, 1)] == [0]
            assert client.counts.unreadable_count == {"damaged": 1, "too_large": 1, "future": 1, "foreign": 1}

    run(test)


def test_a_named_client_gets_again_what_it_had_not_finished_and_nothing_else(mosquitto: str, tmp_path: Path) -> None:
    """This holds when the program ends, and when the broker does."""
    port = free_port()
    broker = persistent_broker(mosquitto, port, tmp_path)

    async def first() -> list[int]:
        async with Client(f"mqtt://127.0.0.1:{port}", name="dashboard-1") as client:
            results = client.results()
            with device(port) as found:
                for _ in range(6):
                    found.read()
                # The third is still being handled when the program ends.
                return [each.seq for each in await take(results, 3)]

    async def second() -> list[int]:
        async with Client(f"mqtt://127.0.0.1:{port}", name="dashboard-1") as client:
            return [each.seq for each in await take(client.results(), 4)]

    with broker():
        assert asyncio.run(first()) == [0, 1, 2]
        # Once the broker has answered this, it has read the acknowledgements before it.
        paho.mqtt.publish.single("elsewhere", qos=1, port=port)
    with broker():
        assert asyncio.run(second()) == [2, 3, 4, 5]


def test_a_loop_that_was_left_goes_on_with_what_it_had_not_finished(broker_port: int) -> None:
    async def test() -> None:
        async with Client(f"mqtt://127.0.0.1:{broker_port}", name=f"dashboard-{uuid7()}") as client:
            with device(broker_port) as found:
                for _ in range(5):
                    found.read()
                # The third is not finished: its loop did not ask for the next one.
                results = client.results()
                assert [each.seq for each in await take(results, 3)] == [0, 1, 2]
                await results.aclose()  # type: ignore[attr-defined]  # a generator
                assert [each.seq for each in await take(client.results(), 3)] == [2, 3, 4]

    run(test)


def test_an_encrypted_broker_is_trusted_by_its_authority_alone(mosquitto: str, tmp_path: Path) -> None:
    port, authority = free_port(), trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    address = f"mqtts://localhost:{port}"

    async def test() -> None:
        async with Client(broker_settings(address, ca_file=tmp_path / "authority.pem")) as client:
            assert client.problem is None
        with pytest.raises(BrokerUntrusted, match="localhost"):
            async with Client(broker_settings(address, ca_file=tmp_path / "other.pem")):
                pass
        with pytest.raises(BrokerUntrusted):
            async with Client(broker_settings(f"mqtts://127.0.0.1:{port}", ca_file=tmp_path / "authority.pem")):
                pass

    lines = f"user {getpass.getuser()}\nallow_anonymous true\ncertfile {tmp_path}/cert.pem\nkeyfile {tmp_path}/key.pem"
    with run_mosquitto(mosquitto, port, extra_configuration=lines):
        run(test)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "http://a", "mqtt://", "mqtt://a:99999", "mqtt://a/b", "mqtt://user:secret@a"]
)
def test_a_wrong_address_is_one_clear_error_without_its_password(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Client(address)
    assert "secret" not in f"{caught.value} {caught.value.remedy}"


def test_a_recording_that_cannot_be_written_stops_nothing_and_says_so(broker_port: int) -> None:
    async def test() -> None:
        async with Client(f"mqtt://127.0.0.1:{broker_port}") as client:
            results = client.results()
            recording = client.recording(Path("/dev/full"))
            with device(broker_port) as found:
                recording.__enter__()
                for _ in range(3):
                    found.read()
                assert [each.seq for each in await take(results, 3)] == [0, 1, 2]
            with pytest.raises(FileUnusable, match="space"):
                recording.__exit__(None, None, None)

    run(test)


def test_a_lost_connection_is_made_again_and_no_result_comes_twice(mosquitto: str, tmp_path: Path) -> None:
    port = free_port()

    async def test() -> None:
        broker = persistent_broker(mosquitto, port, tmp_path)
        with ExitStack() as first_broker:
            broker_id = first_broker.enter_context(broker())
            with device(port, folder=tmp_path / "spool") as found:
                async with Client(BrokerSettings(port=port, reconnect_max_s=1), name="dashboard-2") as client:
                    results = client.results()
                    found.read()
                    (seq,) = [each.seq for each in await take(results, 1)]
                    os.kill(broker_id, signal.SIGKILL)
                    first_broker.close()
                    found.read()
                    with broker():
                        found.read()
                        assert [seq, *(each.seq for each in await take(results, 2))] == [0, 1, 2]

    run(test)


def test_a_wrong_password_is_one_clear_error_at_once(mosquitto: str, tmp_path: Path) -> None:
    port = free_port()

    async def test() -> None:
        with pytest.raises(BrokerRefused, match="refuses"):
            async with Client(f"mqtt://somebody@127.0.0.1:{port}"):
                pass

    with run_mosquitto(mosquitto, port, extra_configuration="allow_anonymous false"):
        run(test)


def test_a_broker_that_is_not_there_is_one_clear_error_at_once() -> None:
    port = free_port()

    async def test() -> None:
        with pytest.raises(BrokerUnreachable, match=str(port)):
            async with Client(f"mqtt://127.0.0.1:{port}"):
                pass

    run(test)


def test_a_recording_is_read_back_as_it_came(broker_port: int, tmp_path: Path) -> None:
    path = tmp_path / "recording.jsonl"

    async def test() -> list[Result]:
        async with Client(f"mqtt://127.0.0.1:{broker_port}") as client:
            results = client.results()
            with client.recording(path), device(broker_port) as found:
                paho.mqtt.publish.single(CLINIC_A.event, b"\xff\xfe", qos=1, port=broker_port)
                for _ in range(3):
                    found.read()
                return await take(results, 3)

    sent = asyncio.run(test())
    with path.open("a") as file:
        file.write("no line of a recording\n")
    contents = [each.content for each in read_recording(path)]
    results = [each.body for each in contents if isinstance(each, Message) and each.kind == "result"]
    assert results == sent
    faults = [each.fault for each in contents if not isinstance(each, Message)]
    assert faults == ["damaged", "damaged"]


def test_the_ten_lines_of_the_readme_do_what_they_say(broker_port: int, repository: Path, tmp_path: Path) -> None:
    text = (repository / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    script = tmp_path / "watch.py"
    script.write_text(code, encoding="utf-8")
    command = [sys.executable, "-u", str(script), f"mqtt://127.0.0.1:{broker_port}"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program,
        device(broker_port) as found,
    ):
        assert program.stdout is not None
        try:
            line = ""
            while not line:
                # Results from before the program's subscription are not for it.
                found.read()
                with suppress(TimeoutError):
                    line = read_line(program)
            assert line.startswith("clinic-a scope-1 ready ")
        finally:
            program.kill()


def read_line(program: subprocess.Popen[str]) -> str:
    with selectors.DefaultSelector() as selector:
        assert program.stdout is not None
        selector.register(program.stdout, selectors.EVENT_READ)
        if not selector.select(timeout=0.5):
            raise TimeoutError
        return program.stdout.readline()
