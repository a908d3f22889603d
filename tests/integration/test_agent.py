"""A real agent with a real broker; only the cameras are scripted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_agent.agent import Agent
from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import PendingReading, Reading
from edge_agent.cameras import Camera
from edge_agent.cameras.frame import ColourOrder, Frame, Pixels, frame_now
from edge_agent.cli.local_broker import free_port, run_mosquitto
from edge_agent.contracts import EventKind, Info, Outcome, Reason, Result, Specimen, Topics
from edge_agent.errors import BundleError, CameraLost
from edge_agent.monitoring.monitor import HealthMonitor
from edge_agent.mqtt.outbox import Outbox
from edge_agent.spool import SpoolLimits, SqliteSpool
from edge_agent.testing.cameras import ScriptedCamera
from tests.agents import configuration, running
from tests.faults.proxy import bad_proxy
from tests.mqtt import PATIENCE_S, Received, Subscriber

Array = NDArray[np.uint8]


def pixels_frame(array: Array) -> Frame:
    return frame_now("camera0", Pixels(np.ascontiguousarray(array), ColourOrder.RGB))


def frames(smear: Array, count: int) -> list[Frame]:
    """Frames of one field, each with its own noise, as from a sensor."""
    rng = np.random.default_rng(1)
    return [pixels_frame(np.clip(smear + rng.normal(0, 2, smear.shape), 0, 255).astype(np.uint8)) for _ in range(count)]


def scripted(steps: Iterable[Frame | BaseException]) -> ScriptedCamera:
    """A camera so slow that no frame is superseded by the next."""
    return ScriptedCamera(steps, frame_interval_s=0.2)


def result(subscriber: Subscriber) -> Result:
    body = subscriber.next("result").body()
    assert isinstance(body, Result)
    return body


def retained(port: int, kinds: set[str]) -> dict[str, Received]:
    """The messages that a new subscriber gets at once, by kind: these kinds, and those that come before them."""
    late = Subscriber(port)
    found: dict[str, Received] = {}
    try:
        while not kinds <= found.keys():
            message = late.any()
            assert message.retained
            assert message.kind not in found
            message.body()
            found[message.kind] = message
    finally:
        late.close()
    return found


def test_synthetic_frames_become_results_that_a_subscriber_sees(broker_port: int, subscriber: Subscriber) -> None:
    with running(configuration(broker_port), max_readings=20) as agent:
        assert agent.wait(PATIENCE_S)
        seen = [result(subscriber) for _ in range(20)]
    assert [each.seq for each in seen] == list(range(20))
    assert all(each.session == agent.session for each in seen)
    assert all((each.source or "").startswith("synthetic:") for each in seen)
    assert any(each.outcome is Outcome.CLASSIFIED for each in seen)


@pytest.mark.parametrize("interval_s", [0, 0.05])
def test_every_file_of_a_folder_is_read_once_and_the_broken_one_fails(
    broker_port: int, subscriber: Subscriber, tmp_path: Path, smear: Array, interval_s: float
) -> None:
    for number in range(5):
        Image.fromarray(smear).save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes(b"broken")
    config = configuration(
        broker_port,
        camera={"kind": "folder", "path": str(tmp_path)},
        trigger={"mode": "continuous", "interval_s": interval_s},
    )
    with running(config) as agent:
        assert agent.wait(PATIENCE_S)
        seen = [result(subscriber) for _ in range(5)]
    assert [Path(each.source or "").name for each in seen] == [f"{number}.png" for number in range(5)]
    assert [each.outcome for each in seen] == [
        Outcome.FAILED if number == 3 else Outcome.CLASSIFIED for number in range(5)
    ]
    stats = agent.spool.stats()
    assert (stats.waiting_count, stats.acknowledged_count) == (0, stats.accepted_count)


def test_info_and_status_tell_what_runs(broker_port: int, subscriber: Subscriber, smear: Array) -> None:
    camera = scripted(frames(smear, 3))
    with running(configuration(broker_port), camera=lambda: camera) as agent:
        info = subscriber.next("info").body()
        assert isinstance(info, Info)
        assert info.session == agent.session
        assert info.model.name == "demo"
        assert info.demonstration
        subscriber.until_state("ready")
    subscriber.until_state("disconnected")


def test_a_camera_that_vanishes_is_degraded_and_reopened(
    broker_port: int, subscriber: Subscriber, smear: Array
) -> None:
    cameras = iter(
        [
            scripted([*frames(smear, 10), CameraLost("unplugged.")]),
            ScriptedCamera(on_open=CameraLost("still unplugged.")),
            scripted(frames(smear[::-1], 10)),
        ]
    )

    def make() -> Camera:
        return next(cameras)

    with running(configuration(broker_port), camera=make):
        assert result(subscriber).outcome is Outcome.CLASSIFIED
        degraded = subscriber.until_state("degraded")
        assert degraded.code == "camera_lost"
        subscriber.until_state("ready")
        assert result(subscriber).outcome is Outcome.CLASSIFIED


def test_motion_between_frames_rejects_the_later_one(broker_port: int, subscriber: Subscriber, smear: Array) -> None:
    camera = scripted([pixels_frame(np.roll(smear, 37 * number, axis=0)) for number in range(6)])
    with running(configuration(broker_port), camera=lambda: camera):
        seen = result(subscriber)
    assert (seen.outcome, seen.reason) == (Outcome.REJECTED, Reason.MOVING)


def test_triggered_reads_only_when_asked(broker_port: int, subscriber: Subscriber) -> None:
    config = configuration(
        broker_port,
        trigger={"mode": "triggered"},
        camera={"kind": "synthetic", "bad_fields_ratio": 0, "frame_rate_hz": 50},
    )
    with running(config) as agent:
        subscriber.until_state("ready")
        agent.reading.trigger()
        assert result(subscriber).seq == 0
        agent.reading.trigger()
        assert result(subscriber).seq == 1
        assert agent.counts.readings_count == 2


def test_a_capture_is_of_a_frame_that_was_exposed_after_it_was_asked_for(
    broker_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, go_on = threading.Event(), threading.Event()
    complete = Analyzer.complete

    def hold(self: Analyzer, prepared: PendingReading | Reading) -> Reading:
        under_way.set()
        assert go_on.wait(PATIENCE_S)
        return complete(self, prepared)

    monkeypatch.setattr(Analyzer, "complete", hold)
    config = configuration(broker_port, camera={"kind": "synthetic", "frame_rate_hz": 50})
    with running(config) as agent, ThreadPoolExecutor(1) as pool:
        # A reading is under way when the request arrives: it must not be the answer.
        assert under_way.wait(PATIENCE_S)
        asked_ns = time.monotonic_ns()
        captured = pool.submit(agent.reading.capture)
        go_on.set()
        assert captured.result(PATIENCE_S).clock.monotonic_ns > asked_ns


def test_triggered_with_a_folder_reads_the_next_file_for_each_request(
    broker_port: int, subscriber: Subscriber, tmp_path: Path, smear: Array
) -> None:
    for number in range(3):
        Image.fromarray(smear).save(tmp_path / f"{number}.png")
    config = configuration(broker_port, trigger={"mode": "triggered"}, camera={"kind": "folder", "path": str(tmp_path)})
    with running(config) as agent:
        subscriber.until_state("ready")
        seen = [agent.reading.capture() for _ in range(3)]
        assert agent.wait(PATIENCE_S)
    assert [Path(each.source or "").name for each in seen] == ["0.png", "1.png", "2.png"]
    assert agent.counts.readings_count == 3


def test_settled_reads_each_field_of_a_stage_once(broker_port: int, subscriber: Subscriber) -> None:
    config = configuration(
        broker_port,
        trigger={"mode": "settled", "rest_frames_count": 2},
        camera={
            "kind": "synthetic",
            "bad_fields_ratio": 0,
            "frame_rate_hz": 60,
            "frames_per_field_count": 20,
            "labels": ["pre-b", "pro-b"],
        },
    )
    with running(config, max_readings=3) as agent:
        assert agent.wait(PATIENCE_S)
        seen = [result(subscriber) for _ in range(3)]
    assert all(each.reason is not Reason.MOVING for each in seen)
    gaps = np.diff([each.clock.monotonic_ns for each in seen])
    # One reading per field: they are about as far apart as fields are, not as frames are.
    assert (gaps > 5 * 1e9 / 60).all()


def test_the_agent_works_before_the_broker_and_delivers_when_it_is_there(
    mosquitto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    acknowledged = threading.Semaphore(0)
    acknowledge = SqliteSpool.acknowledge

    def count(spool: SqliteSpool, message_id: UUID) -> None:
        acknowledge(spool, message_id)
        acknowledged.release()

    monkeypatch.setattr(SqliteSpool, "acknowledge", count)
    with running(configuration(port), max_readings=5) as agent:
        assert agent.wait(PATIENCE_S)
        assert agent.spool.flush(PATIENCE_S)
        waiting = agent.spool.stats().waiting_count
        # The start of the agent is reported, too.
        assert waiting >= 6
        with run_mosquitto(mosquitto, port):
            assert all(acknowledged.acquire(timeout=PATIENCE_S) for _ in range(waiting))


@pytest.mark.parametrize("storage", ["disk", "memory"])
def test_results_that_the_spool_refuses_are_counted_and_told(storage: str, mosquitto: str) -> None:
    port = free_port()
    with bad_proxy(port) as proxy, ExitStack() as life:
        # The subscriber has to be there before any message arrives.
        proxy.stall()
        config = configuration(proxy.port, spool={"max_mib": 0.016, "storage": storage})
        agent = life.enter_context(running(config, max_readings=6))
        assert agent.wait(PATIENCE_S)
        refused = agent.counts.refused_count
        assert agent.counts.readings_count == 6
        assert 0 < refused < 6
        assert agent.spool.stats().refused_count == refused
        with run_mosquitto(mosquitto, port):
            watcher = Subscriber(port)
            proxy.flow()
            assert watcher.until_state("degraded").code is not None
            # The first refusal is reported at once, and the rest at the end.
            life.close()
            told = 0
            while told < refused:
                event = watcher.next("event").body()
                if event.kind == EventKind.MESSAGES_DROPPED:
                    told += event.details["refused_count"]
            assert told == refused
            watcher.close()


def test_reload_goes_on_with_session_and_numbers(broker_port: int, subscriber: Subscriber) -> None:
    with running(configuration(broker_port)) as agent:
        before = result(subscriber)
        agent.reload(configuration(broker_port, device={"site": "clinic", "id": "scope-2"}))
        after = next(each for each in iter(lambda: result(subscriber), None) if each.device == "scope-2")
        assert after.session == before.session
        assert after.seq > before.seq


def test_the_newest_result_and_the_open_slide_are_there_for_who_comes_later(
    broker_port: int, subscriber: Subscriber
) -> None:
    config = configuration(broker_port)
    with running(config, max_readings=20) as agent:
        assert subscriber.next("specimen").body().specimen is None
        agent._specimens.set(Specimen(id="S-7K3F-92QX", slide=1))
        assert subscriber.next("specimen").body().specimen == Specimen(id="S-7K3F-92QX", slide=1)
        assert agent.wait(PATIENCE_S)
    kept = retained(broker_port, {"health", "info", "last", "specimen"})
    newest, slide = kept["last"].body(), kept["specimen"].body()
    # Each run ends with its last result, however soon it came after the one before.
    assert newest.seq == 19
    assert slide.readings_count == newest.specimen.field

    with running(config, max_readings=1) as agent:
        going_on = subscriber.next("specimen").body()
        while going_on.session != agent.session:
            going_on = subscriber.next("specimen").body()
        assert going_on.began_at == slide.began_at
        assert going_on.readings_count == slide.readings_count


def test_a_renamed_device_leaves_nothing_under_its_old_name(broker_port: int, subscriber: Subscriber) -> None:
    old, new = Topics("clinic", "scope-1"), Topics("ward", "scope-2")
    with running(configuration(broker_port)) as agent:
        while subscriber.next("last").body().device != old.device:
            pass
        agent.reload(configuration(broker_port, device={"site": new.site, "id": new.device}))
        last = next(each for each in iter(lambda: subscriber.next("last"), None) if each.topic == new.last).body()
        assert (last.site, last.device) == (new.site, new.device)
    kept = retained(broker_port, {"last", "specimen", "health", "info", "status", "model-reported"})
    assert {each.topic.rpartition(f"/{kind.replace('-', '/')}")[0] for kind, each in kept.items()} == {new.prefix}


def test_a_reload_that_fails_leaves_the_old_configuration_in_force(broker_port: int, subscriber: Subscriber) -> None:
    with running(configuration(broker_port)) as agent:
        result(subscriber)
        with pytest.raises(BundleError):
            agent.reload(configuration(broker_port, analysis={"bundle": "no-such-bundle"}))
        number = result(subscriber).seq
        assert result(subscriber).seq > number


def test_a_bug_in_a_camera_ends_the_agent_instead_of_hanging_it(broker_port: int) -> None:
    agent = Agent(configuration(broker_port), camera=lambda: ScriptedCamera([ZeroDivisionError("a bug")]))
    agent.start()
    assert agent.wait(PATIENCE_S)
    with pytest.raises(ZeroDivisionError):
        agent.stop()


def test_a_publisher_that_fails_ends_the_agent_instead_of_leaving_results_behind(
    broker_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_outbox: Outbox) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Outbox, "next", fail)
    agent = Agent(configuration(broker_port))
    agent.start()
    assert agent.wait(PATIENCE_S)
    with pytest.raises(ZeroDivisionError):
        agent.stop()


def test_a_part_that_fails_to_stop_keeps_no_other_from_stopping(
    broker_port: int, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(_monitor: HealthMonitor) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(HealthMonitor, "stop", fail)
    config = configuration(broker_port, state={"folder": str(tmp_path / "state")})
    agent = Agent(config)
    agent.start()
    result(subscriber)
    with pytest.raises(ZeroDivisionError):
        agent.stop()
    subscriber.until_state("disconnected")
    SqliteSpool(tmp_path / "state", SpoolLimits(max_bytes=2**20, max_age_s=3600)).close()
