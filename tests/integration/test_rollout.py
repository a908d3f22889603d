"""A model is rolled out over a real broker, from a file server over TLS, to a real agent that goes on reading."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_agent.cameras.smear import draw_smear
from edge_agent.config import Config
from edge_agent.contracts import AnswerState, EventKind, ModelDesired, ModelReported, Result, RolloutState
from edge_agent.inference.bundle import load_bundle
from tests.agents import configuration, running
from tests.file_server import FileServer, file_server
from tests.mqtt import PATIENCE_S, Requester, Subscriber
from tests.rollouts import ISSUED_AT, asks_for, make_archive, next_reported, publish_desired

FRAMES_COUNT = 7


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    with file_server(tmp_path) as found:
        yield found


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(FRAMES_COUNT):
        array, _ = draw_smear(rng, "pre-b", size_px=(224, 224))
        Image.fromarray(array).save(folder / f"{number}.png")
    return folder


def config_for(port: int, frames: Path, server: FileServer, unsigned: str = "always") -> Config:
    return configuration(
        port,
        camera={"kind": "folder", "path": str(frames), "loop": True},
        quality={"max_motion_pct": 100},
        models={"unsigned": unsigned},
        rollout={"ca_file": str(server.ca_file), "retry_s": 1, "fast_enough_ms": 10000},
    )


def codes(reported: ModelReported) -> set[str]:
    return {error.code for error in (reported.error, reported.message_error) if error is not None}


def test_no_frame_is_missed_while_a_model_is_rolled_out(
    tmp_path: Path, broker_port: int, subscriber: Subscriber, server: FileServer, frames: Path
) -> None:
    archive = make_archive(tmp_path)
    server.serve(archive.read_bytes())
    wanted = asks_for(archive, source=server.address())
    # The message waits at the broker for the device.
    publish_desired(broker_port, wanted)
    results: queue.SimpleQueue[Result] = queue.SimpleQueue()
    with running(
        config_for(broker_port, frames, server), on_result=lambda result, _reading: results.put(result)
    ) as agent:
        reported = next_reported(subscriber, lambda each: each.state is RolloutState.ACTIVE)
        assert (reported.model.name, reported.model.version) == ("site", "1.0.0")
        assert reported.desired == wanted
        seen = [results.get(timeout=PATIENCE_S)]
        while len([each for each in seen if each.model.name == "site"]) < FRAMES_COUNT:
            seen.append(results.get(timeout=PATIENCE_S))
        assert agent.model.name == "site"
    names = [each.model.name for each in seen]
    swap = names.index("site")
    assert set(names[:swap]) == {"demo"}
    assert set(names[swap:]) == {"site"}
    # All frames of the camera in order, and all numbers.
    assert [each.seq for each in seen] == list(range(len(seen)))
    assert [each.source for each in seen] == [f"{number % FRAMES_COUNT}.png" for number in range(len(seen))]
    while (event := subscriber.next("event").body()).kind is not EventKind.MODEL_ACTIVATED:
        pass
    assert event.details["archive_sha256"] == wanted.sha256
    assert event.audit is not None


def test_what_is_refused_leaves_the_model_in_use_and_answering(
    tmp_path: Path, broker_port: int, subscriber: Subscriber, requester: Requester, server: FileServer, frames: Path
) -> None:
    archive = make_archive(tmp_path)
    server.serve(archive.read_bytes())
    with running(config_for(broker_port, frames, server, unsigned="local")):
        first = asks_for(archive, source=server.address())
        expected: list[tuple[bytes | ModelDesired, str]] = [
            (b"{}", "desired_invalid"),
            (b"\0" * 5000, "desired_invalid"),
            (first, "unsigned_refused"),
            (first.model_copy(update={"issued_at": ISSUED_AT - timedelta(seconds=1)}), "desired_stale"),
            (first.model_copy(update={"issued_at": ISSUED_AT + timedelta(1), "sha256": "0" * 64}), "download_mismatch"),
        ]
        for message, code in expected:
            publish_desired(broker_port, message)
            reported = next_reported(subscriber, lambda each, code=code: code in codes(each))  # type: ignore[misc]  # a lambda's default
            assert reported.model.name == "demo"
            assert requester.ask("capture").state is AnswerState.DONE
    # The last report is retained at the broker.
    late = Subscriber(broker_port)
    try:
        assert next_reported(late, lambda _each: True).error is not None
    finally:
        late.close()


def test_an_empty_message_withdraws_what_was_asked_for(
    tmp_path: Path, broker_port: int, subscriber: Subscriber, server: FileServer, frames: Path
) -> None:
    archive = make_archive(tmp_path)
    server.replies.append(lambda visit: visit.wait())
    publish_desired(broker_port, asks_for(archive, source=server.address()))
    with running(config_for(broker_port, frames, server)):
        next_reported(subscriber, lambda each: each.state is RolloutState.DOWNLOADING)
        publish_desired(broker_port, b"")
        reported = next_reported(subscriber, lambda each: each.state is RolloutState.IDLE)
        assert reported.desired is None


def test_a_reload_with_another_model_is_seen_by_the_roll_out(
    tmp_path: Path, broker_port: int, subscriber: Subscriber
) -> None:
    demo = load_bundle("demo").manifest
    asked = {"name": demo.name, "version": demo.version}
    publish_desired(broker_port, asks_for(make_archive(tmp_path), source="/nowhere").model_copy(update=asked))
    config = configuration(broker_port)
    with running(config) as agent:
        next_reported(subscriber, lambda each: each.state is RolloutState.ACTIVE)
        agent.reload(configuration(broker_port, analysis={"bundle": "fast"}))
        next_reported(subscriber, lambda each: each.state is RolloutState.IDLE and each.model.name == "fast")
        agent.reload(config)
        next_reported(subscriber, lambda each: each.state is RolloutState.ACTIVE and each.model.name == "demo")


def test_a_model_is_judged_in_the_shadow_before_it_is_used(
    tmp_path: Path, broker_port: int, subscriber: Subscriber, server: FileServer, frames: Path
) -> None:
    archive = make_archive(tmp_path)
    server.serve(archive.read_bytes())
    publish_desired(broker_port, asks_for(archive, source=server.address(), shadow_readings_count=5))
    with running(config_for(broker_port, frames, server)):
        shadowed = next_reported(subscriber, lambda each: each.state is RolloutState.SHADOW)
        assert shadowed.model.name == "demo"
        # The same network under another name agrees.
        next_reported(subscriber, lambda each: each.state is RolloutState.ACTIVE and each.model.name == "site")


def test_a_model_that_was_rolled_out_and_fails_is_given_up_and_the_desk_is_told(
    tmp_path: Path, broker_port: int, subscriber: Subscriber, server: FileServer, frames: Path
) -> None:
    archive = make_archive(tmp_path)
    server.serve(archive.read_bytes())
    publish_desired(broker_port, asks_for(archive, source=server.address()))
    with running(config_for(broker_port, frames, server)) as agent:
        next_reported(subscriber, lambda each: each.state is RolloutState.ACTIVE)
        agent.models.roll_back()
        reported = next_reported(subscriber, lambda each: each.state is RolloutState.ROLLED_BACK)
        assert (reported.model.name, codes(reported)) == ("demo", {"model_rolled_back"})
