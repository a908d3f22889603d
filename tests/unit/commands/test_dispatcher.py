"""The command dispatcher alone, with the test in the role of the broker."""

from __future__ import annotations

import json
import queue
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from uuid_utils.compat import uuid7

from edge_agent.commands.dispatcher import CommandDispatcher
from edge_agent.commands.handlers import Data, Handler
from edge_agent.commands.records import RECORDS_MAX
from edge_agent.contracts import MAX_REQUEST_BYTES, Answer, AnswerState, Command, CommandName, Event, EventKind, Topics
from edge_agent.errors import CameraTimeout
from edge_agent.events.recorder import EventRecorder
from edge_agent.mqtt import Request
from edge_agent.spool import MemorySpool
from edge_agent.spool.base import Spool

TOPICS = Topics("clinic", "scope-1")
PATIENCE_S = 20.0


class Desk:
    def __init__(self, spool: Spool, folder: Path, handlers: Mapping[CommandName, Handler]) -> None:
        self.spool = spool
        self.answers: queue.SimpleQueue[tuple[Request, Answer]] = queue.SimpleQueue()
        self.failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
        self.events = EventRecorder(folder, spool, TOPICS, uuid7())
        self.dispatcher = CommandDispatcher(
            spool,
            self.events,
            uuid7(),
            handlers,
            lambda request, payload: self.answers.put((request, Answer.model_validate_json(payload))),
            on_failure=self.failures.put,
        )
        self.dispatcher.start()

    def next(self) -> Answer:
        return self.answers.get(timeout=PATIENCE_S)[1]

    def ask(self, request: Request) -> Answer:
        self.dispatcher.submit(request)
        return self.next()

    def stop(self) -> None:
        self.dispatcher.stop()
        self.events.close()


@contextmanager
def dispatcher(folder: Path, spool: Spool | None = None, **handlers: Handler) -> Iterator[Desk]:
    found = Desk(
        spool or MemorySpool(2**20),
        folder,
        {name: handlers.get(name.replace("-", "_"), lambda _command: {}) for name in CommandName},
    )
    try:
        yield found
    finally:
        found.stop()


def request(command: str = "pause", identity: UUID | None = None, **changes: object) -> Request:
    found = Request(
        command=command,
        payload=json.dumps({"id": str(identity or uuid4())}).encode(),
        retained=False,
        deadline_s=None,
        answer_topic=f"{TOPICS.answers}x",
        correlation=None,
        misdirected=False,
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def code(answer: Answer) -> str:
    assert answer.error is not None
    return answer.error.code


def test_a_second_command_is_refused_while_one_is_carried_out(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(_command: Command) -> Data:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return {"slow": True}

    with dispatcher(tmp_path, pause=slow) as found:
        first = request()
        found.dispatcher.submit(first)
        assert begun.wait(PATIENCE_S)
        assert code(found.ask(request("resume"))) == "command_busy"
        # The same request again waits for the same answer.
        found.dispatcher.submit(first)
        go_on.set()
        assert [found.next().data, found.next().data] == [{"slow": True}, {"slow": True}]
        assert found.ask(request("resume")).state is AnswerState.DONE


def test_what_came_too_late_is_not_carried_out(tmp_path: Path) -> None:
    def never(_command: Command) -> Data:
        raise AssertionError

    with dispatcher(tmp_path, pause=never) as found:
        assert code(found.ask(request(deadline_s=time.monotonic() - 1))) == "command_expired"


def test_a_command_that_was_begun_before_a_kill_is_not_carried_out_again(tmp_path: Path) -> None:
    spool = MemorySpool(2**20)
    identity = uuid4()
    killed = threading.Event()

    def dies(_command: Command) -> Data:
        # Nothing after this happens in the previous run.
        killed.set()
        threading.Event().wait()
        return {}

    old = Desk(spool, tmp_path / "old", dict.fromkeys(CommandName, dies))
    old.dispatcher.submit(request(identity=identity))
    assert killed.wait(PATIENCE_S)
    with dispatcher(tmp_path / "new", spool) as found:
        assert code(found.ask(request(identity=identity))) == "command_interrupted"
        assert found.ask(request()).state is AnswerState.DONE


def test_errors_and_defects_are_answered(tmp_path: Path) -> None:
    def fails(_command: Command) -> Data:
        raise CameraTimeout("No frame came.")

    def breaks(_command: Command) -> Data:
        raise ZeroDivisionError("a defect")

    def says_what_cannot_be_sent(_command: Command) -> Data:
        return {"answer": object()}  # type: ignore[dict-item]

    with dispatcher(tmp_path, capture=fails, self_test=breaks, resume=says_what_cannot_be_sent) as found:
        answer = found.ask(request("capture"))
        assert (answer.state, code(answer)) == (AnswerState.FAILED, "camera_timeout")
        answer = found.ask(request("self-test"))
        assert (answer.state, code(answer)) == (AnswerState.FAILED, "command_failed")
        answer = found.ask(request("resume"))
        assert (answer.state, code(answer)) == (AnswerState.FAILED, "command_failed")
        assert found.ask(request("pause")).state is AnswerState.DONE


def test_only_the_last_ids_are_kept(tmp_path: Path) -> None:
    spool = MemorySpool(2**24)
    with dispatcher(tmp_path, spool) as found:
        asked = [request() for _ in range(RECORDS_MAX + 5)]
        for each in asked:
            assert found.ask(each).state is AnswerState.DONE
        assert len(spool.state_entries("command/")) == RECORDS_MAX
        events = len(told(spool))
        # The last one is known, the first one is not.
        found.ask(asked[-1])
        assert len(told(spool)) == 0
        found.ask(asked[0])
        assert len(told(spool)) == 1
        assert events == len(asked)


def told(spool: Spool) -> list[Event]:
    found = []
    while (message := spool.take(live=True)) is not None:
        found.append(Event.model_validate_json(message.payload))
    return found


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b"{}", b'{"id":1}', b'{"id":"x"}', b"\xff", b" " * 5000])
def test_what_is_no_request_is_refused(tmp_path: Path, payload: bytes) -> None:
    with dispatcher(tmp_path) as found:
        answer = found.ask(request(payload=payload))
        assert (answer.id, code(answer)) == (None, "command_invalid")


def test_a_request_that_is_wrong_elsewhere_is_answered_with_its_id(tmp_path: Path) -> None:
    with dispatcher(tmp_path) as found:
        identity = uuid4()
        answer = found.ask(request(payload=json.dumps({"id": str(identity), "sugar": 2}).encode()))
        assert (answer.id, code(answer)) == (identity, "command_invalid")


def test_a_request_that_is_too_large_is_refused_though_it_is_right(tmp_path: Path) -> None:
    with dispatcher(tmp_path) as found:
        right = request()
        assert found.ask(right).state is AnswerState.DONE
        assert code(found.ask(replace(right, payload=right.payload + b" " * MAX_REQUEST_BYTES))) == "command_invalid"


def test_a_retained_command_is_recorded_once_however_often_it_comes(tmp_path: Path) -> None:
    with dispatcher(tmp_path) as found:
        retained = request(retained=True)
        for _ in range(3):
            found.dispatcher.submit(retained)
        found.ask(request("resume"))
        assert [event.code for event in told(found.spool)] == ["command_retained", None]


def test_clearing_a_retained_command_is_no_event_and_retaining_one_again_is(tmp_path: Path) -> None:
    with dispatcher(tmp_path) as found:
        retained, other = request(retained=True), request("resume", retained=True)
        cleared = replace(retained, payload=b"")
        for each in (cleared, retained, other, cleared, cleared, other, retained, retained):
            found.dispatcher.submit(each)
        found.ask(request("resume"))
        events = [(event.code, event.details["command"]) for event in told(found.spool)]
        ignored = "command_retained"
        assert events == [(ignored, "pause"), (ignored, "resume"), (ignored, "pause"), (None, "resume")]
        assert found.answers.empty()


@pytest.mark.parametrize("failing", ["record", "state entries", "flush"])
def test_whatever_fails_while_a_command_is_recorded_it_is_answered_and_the_next_one_is_carried_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*_: object, **__: object) -> bool:
        raise OSError(28, "No space left on device")

    with dispatcher(tmp_path) as found:
        with monkeypatch.context() as patch:
            match failing:
                case "record":
                    patch.setattr(found.events, "record", fail)
                case "state entries":
                    patch.setattr(found.spool, "write_state_entries", fail)
                case "flush":
                    patch.setattr(found.spool, "flush", fail)
            assert found.ask(request()).state in {AnswerState.DONE, AnswerState.FAILED}
            assert found.ask(request("resume")).state in {AnswerState.DONE, AnswerState.FAILED}
        assert found.ask(request("resume")).state is AnswerState.DONE
        assert found.failures.empty()


def test_a_command_is_answered_though_the_audit_log_vanishes_under_it(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with dispatcher(folder) as found:
        assert found.ask(request()).state is AnswerState.DONE
        shutil.rmtree(folder)
        folder.write_text("a file where the folder was")
        assert found.ask(request("resume")).state is AnswerState.DONE
        assert found.ask(request("resume")).state is AnswerState.DONE
        assert found.events.error is not None
        assert found.events.error.code == "audit_unwritable"


def test_a_defect_in_the_reading_of_a_request_is_answered_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It happens in the publisher's thread, which must not end by it."""

    def fail(_request: Request) -> None:
        raise RecursionError("a defect")

    with dispatcher(tmp_path) as found:
        with monkeypatch.context() as patch:
            patch.setattr("edge_agent.commands.dispatcher.parse_request", fail)
            assert code(found.ask(request())) == "command_failed"
        assert found.ask(request()).state is AnswerState.DONE


def test_an_answer_that_cannot_be_sent_does_not_end_the_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = threading.Event()

    def fail(_request: Request, _payload: bytes) -> None:
        tried.set()
        raise OSError(9, "Bad file descriptor")

    with dispatcher(tmp_path) as found:
        with monkeypatch.context() as patch:
            patch.setattr(found.dispatcher, "_send", fail)
            found.dispatcher.submit(request())
            assert tried.wait(PATIENCE_S)
        assert found.ask(request()).state is AnswerState.DONE
        assert found.failures.empty()


def test_a_thread_that_dies_says_so(tmp_path: Path) -> None:
    def dies(_command: Command) -> Data:
        raise SystemExit

    with dispatcher(tmp_path, pause=dies) as found:
        found.dispatcher.submit(request())
        assert isinstance(found.failures.get(timeout=PATIENCE_S), SystemExit)


def test_a_command_that_takes_too_long_is_stuck_and_waiting_for_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(_command: Command) -> Data:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return {}

    monkeypatch.setattr("edge_agent.commands.dispatcher.COMMAND_LIMIT_S", 0.0)
    with dispatcher(tmp_path, pause=slow) as found:
        before = found.dispatcher.stall_detector.stuck
        found.dispatcher.submit(request())
        assert begun.wait(PATIENCE_S)
        assert (before, found.dispatcher.stall_detector.stuck) == (False, True)
        go_on.set()
        assert found.next().state is AnswerState.DONE


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("command/7c9e6679-7425-40de-944b-e07fc1f90ae7", b""),
        ("command/7c9e6679-7425-40de-944b-e07fc1f90ae7", b"\xff\x00"),
        ("command/7c9e6679-7425-40de-944b-e07fc1f90ae7", b"[]"),
        ("command/7c9e6679-7425-40de-944b-e07fc1f90ae7", b'{"digest":1}'),
        ("command/7c9e6679-7425-40de-944b-e07fc1f90ae7", b'{"digest":"x","answer":{"schema":"leukoscope/answer/v2"}}'),
        ("command/7c9e6679-7425-40de-944b-e07fc1f90ae7", b"[" * 100_000),
        ("command/not-an-id", b'{"digest":"x"}'),
        ("command/", b'{"digest":"x"}'),
    ],
)
def test_a_record_that_cannot_be_read_is_removed_and_told(tmp_path: Path, key: str, content: bytes) -> None:
    spool = MemorySpool(2**20)
    good = f"command/{uuid4()}"
    spool.write_state_entries({key: content, good: b'{"digest":"x"}'})
    with dispatcher(tmp_path, spool) as found:
        (event,) = told(spool)
        assert (event.kind, event.code) == (EventKind.STATE_IGNORED, "state_entry_invalid")
        assert key in str(event.details["problem"])
        assert list(spool.state_entries("command/")) == [good]
        assert code(found.ask(request(identity=UUID(good.removeprefix("command/"))))) == "command_invalid"
        assert found.ask(request()).state is AnswerState.DONE
