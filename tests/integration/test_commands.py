"""Commands over a real broker, to a real agent."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_agent.agent import Agent
from edge_agent.calibration.record import last_calibration
from edge_agent.contracts import Answer, AnswerState, Calibration, Check, EventKind, Report, Topics
from edge_agent.mqtt import Publisher, Request
from tests.agents import configuration, serving
from tests.mqtt import PATIENCE_S, Requester, Subscriber
from tests.unit.calibration.drawings import draw_ruler

TOPICS = Topics("clinic", "scope-1")
STILL = {"mode": "triggered"}
FIELDS = {"kind": "synthetic", "bad_fields_ratio": 0, "frame_rate_hz": 50}


def code(answer: Answer) -> str | None:
    assert answer.error is not None
    assert answer.state in {AnswerState.REFUSED, AnswerState.FAILED}
    return answer.error.code


def request(**values: object) -> dict[str, object]:
    return {"id": str(uuid4()), **values}


def test_capture_answers_with_the_reading_that_was_made(
    broker_port: int, requester: Requester, subscriber: Subscriber
) -> None:
    with serving(configuration(broker_port, trigger=STILL, camera=FIELDS), requester) as agent:
        subscriber.until_state("ready")
        answer = requester.ask("capture")
        assert answer.state is AnswerState.DONE
        result = subscriber.next("result").body()
        assert answer.data["result"] == str(result.id)
        assert answer.data["outcome"] == result.outcome
        assert agent.counts.readings_count == 1


def test_capture_also_interrupts_the_wait_of_a_continuous_folder(
    broker_port: int, requester: Requester, subscriber: Subscriber, tmp_path: Path, smear: NDArray[np.uint8]
) -> None:
    Image.fromarray(smear).save(tmp_path / "one.png")
    folder = {"kind": "folder", "path": str(tmp_path), "loop": True}
    config = configuration(broker_port, camera=folder, trigger={"mode": "continuous", "interval_s": 3600})
    with serving(config, requester):
        assert subscriber.next("result").body().seq == 0
        assert requester.ask("capture").data["seq"] == 1


def test_the_same_id_gets_the_same_answer_and_nothing_is_done_twice(
    broker_port: int, requester: Requester, subscriber: Subscriber
) -> None:
    with serving(configuration(broker_port, trigger=STILL, camera=FIELDS), requester) as agent:
        subscriber.until_state("ready")
        asked = request()
        first = requester.ask("capture", asked)
        again = requester.ask("capture", asked)
        assert again == first
        assert agent.counts.readings_count == 1
        assert code(requester.ask("pause", asked)) == "command_invalid"


def test_an_id_is_remembered_over_a_restart(broker_port: int, requester: Requester, subscriber: Subscriber) -> None:
    config = configuration(broker_port, trigger=STILL, camera=FIELDS)
    asked = request()
    with serving(config, requester):
        subscriber.until_state("ready")
        first = requester.ask("capture", asked)
    with serving(config, requester) as agent:
        subscriber.until_state("ready")
        assert requester.ask("capture", asked) == first
        assert agent.counts.readings_count == 0


def test_pause_lets_go_of_the_camera_and_resume_takes_it_back(
    broker_port: int, requester: Requester, subscriber: Subscriber
) -> None:
    with serving(configuration(broker_port), requester) as agent:
        subscriber.next("result")
        assert requester.ask("pause").state is AnswerState.DONE
        subscriber.until_state("sleeping")
        made = agent.counts.readings_count
        assert code(requester.ask("capture")) == "agent_paused"
        assert agent.counts.readings_count == made
        assert requester.ask("resume").state is AnswerState.DONE
        subscriber.until_state("ready")
        while subscriber.next("result").body().seq < made:
            pass


def test_the_answer_goes_where_it_was_asked_for_with_its_correlation(broker_port: int, requester: Requester) -> None:
    with serving(configuration(broker_port, trigger=STILL), requester):
        wanted = f"{TOPICS.answers}dashboard/7"
        requester.send("get-config", response_topic=wanted, correlation=b"\x00\xff seven")
        message, answer = requester.next()
        assert message.topic == wanted
        assert getattr(message.properties, "CorrelationData", None) == b"\x00\xff seven"
        config = answer.data["config"]
        assert isinstance(config, dict)
        assert config["device"] == {"site": "clinic", "id": "scope-1"}


@pytest.mark.parametrize("elsewhere", ["leukoscope/v1/clinic/scope-2/status", TOPICS.status, "answer", TOPICS.answers])
def test_a_device_does_not_write_where_a_request_tells_it_to(
    broker_port: int, requester: Requester, elsewhere: str
) -> None:
    with serving(configuration(broker_port, trigger=STILL), requester):
        requester.send("get-config", response_topic=elsewhere)
        message, answer = requester.next()
        assert message.topic == f"{TOPICS.answers}get-config"
        assert code(answer) == "command_invalid"


def test_a_slide_is_summed_up_in_a_report(broker_port: int, requester: Requester, subscriber: Subscriber) -> None:
    with serving(configuration(broker_port, trigger=STILL, camera=FIELDS), requester):
        subscriber.until_state("ready")
        assert code(requester.ask("finish-specimen")) == "specimen_missing"
        assert requester.ask("set-specimen", request(specimen="S-7K3F-92QX", slide=2)).state is AnswerState.DONE
        assert code(requester.ask("set-specimen", request(specimen="S-7K3F-92QY"))) == "specimen_open"
        made = []
        for number in range(1, 4):
            requester.ask("capture")
            result = subscriber.next("result").body()
            assert (result.specimen.id, result.specimen.slide, result.specimen.field) == ("S-7K3F-92QX", 2, number)
            made.append(result)
        answer = requester.ask("finish-specimen")
        report = subscriber.next("report").body()
        assert isinstance(report, Report)
        assert answer.data["report"] == str(report.id)
        assert report.readings_count == 3
        assert sum(report.outcomes_count.values()) + report.repeated_count == 3
        counted = [each for each in made if each.specimen is not None and each.specimen.repeats_field is None]
        assert sum(report.labels_count.values()) == sum(result.label is not None for result in counted)
        requester.ask("capture")
        assert subscriber.next("result").body().specimen is None


def test_a_slide_goes_on_after_a_restart(broker_port: int, requester: Requester, subscriber: Subscriber) -> None:
    config = configuration(broker_port, trigger=STILL, camera=FIELDS)
    with serving(config, requester):
        subscriber.until_state("ready")
        requester.ask("set-specimen", request(specimen="S-7K3F-92QX"))
        requester.ask("capture")
    with serving(config, requester):
        subscriber.until_state("ready")
        requester.ask("capture")
        requester.ask("finish-specimen")
        assert subscriber.next("report").body().readings_count == 2
    with serving(config, requester):
        subscriber.until_state("ready")
        requester.ask("capture")
        while (result := subscriber.next("result").body()).specimen is not None:
            pass
        assert result.seq == 0


@pytest.mark.parametrize(
    "specimen",
    ["Anna-Schmidt", "anna", "1987-05-12", "1-2-87", "12051987", "4711081", "S-19870512", "S 1", "", "ä1", "x" * 40],
)
def test_what_may_tell_who_a_patient_is_is_refused_and_not_repeated(
    broker_port: int, requester: Requester, specimen: str
) -> None:
    with serving(configuration(broker_port, trigger=STILL), requester):
        answer = requester.ask("set-specimen", request(specimen=specimen))
        assert code(answer) == "command_invalid"
        assert answer.error is not None
        assert not specimen or specimen not in answer.error.message


def test_a_retained_command_is_ignored_and_told(broker_port: int, requester: Requester, subscriber: Subscriber) -> None:
    """A command that is already there, and one that arrives while the device listens."""
    requester.send("pause", retain=True)
    with serving(configuration(broker_port, trigger=STILL), requester):
        subscriber.until_state("ready")
        event = next(
            each
            for each in iter(lambda: subscriber.next("event").body(), None)
            if each.kind == EventKind.COMMAND_IGNORED
        )
        assert event.code == "command_retained"
        requester.send("resume", retain=True)
        assert (
            next(
                each
                for each in iter(lambda: subscriber.next("event").body(), None)
                if each.kind == EventKind.COMMAND_IGNORED
            ).details["command"]
            == "resume"
        )
        # Neither was answered: the first answer is to the question that follows.
        assert requester.ask("get-config").command == "get-config"


def test_clearing_a_retained_command_is_neither_answered_nor_told(
    broker_port: int, requester: Requester, subscriber: Subscriber
) -> None:
    with serving(configuration(broker_port, trigger=STILL), requester):
        requester.send("pause", retain=True)
        requester.send("pause", b"", retain=True)
        requester.send("resume", b"", retain=True)
        assert requester.ask("finish-specimen").command == "finish-specimen"
        kinds = []
        while "command_refused" not in kinds:
            kinds.append(subscriber.next("event").body().kind)
        assert kinds.count("command_ignored") == 1


def test_retained_commands_are_told_once_however_often_the_device_connects(
    broker_port: int, requester: Requester, subscriber: Subscriber
) -> None:
    requester.send("pause", retain=True)
    config = configuration(broker_port, trigger=STILL)
    with serving(config, requester) as agent:
        # A reload makes a new connection, over which the retained command arrives again.
        for _ in range(2):
            agent.reload(config)
        assert requester.ask("finish-specimen").command == "finish-specimen"
        kinds = []
        while "command_refused" not in kinds:
            kinds.append(subscriber.next("event").body().kind)
        assert kinds.count("configured") == 2
        assert kinds.count("command_ignored") == 1


def test_an_answer_that_is_ready_while_a_reload_changes_the_connection_is_sent_over_the_next_one(
    broker_port: int, requester: Requester, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, gone, answered = Event(), Event(), Event()
    stop, answer = Publisher.stop, Publisher.answer

    def take_long(_agent: Agent) -> tuple[Check, ...]:
        begun.set()
        assert gone.wait(PATIENCE_S)
        return ()

    def stop_and_wait(publisher: Publisher) -> None:
        stop(publisher)
        gone.set()
        assert answered.wait(PATIENCE_S)

    def note(publisher: Publisher, asked: Request, payload: bytes) -> None:
        answer(publisher, asked, payload)
        answered.set()

    monkeypatch.setattr(Agent, "self_test", take_long)
    monkeypatch.setattr(Publisher, "stop", stop_and_wait)
    monkeypatch.setattr(Publisher, "answer", note)
    config = configuration(broker_port, trigger=STILL)
    with serving(config, requester) as agent:
        requester.send("self-test")
        assert begun.wait(PATIENCE_S)
        agent.reload(config)
        assert requester.next()[1].command == "self-test"


@pytest.mark.parametrize(
    "values", [{"slide": "1"}, {"slide": True}, {"id": f"urn:uuid:{uuid4()}"}, {"id": uuid4().hex}, {"schema_": "x"}]
)
def test_what_the_published_schema_refuses_is_refused(
    broker_port: int, requester: Requester, values: dict[str, object]
) -> None:
    with serving(configuration(broker_port, trigger=STILL), requester):
        asked = request(specimen="S-7K3F-92QX", slide=1)
        assert code(requester.ask("set-specimen", {**asked, **values})) == "command_invalid"
        assert requester.ask("set-specimen", asked).state is AnswerState.DONE


def test_self_test_tries_the_model_and_another_name_is_unknown(broker_port: int, requester: Requester) -> None:
    with serving(configuration(broker_port, trigger=STILL), requester):
        answer = requester.ask("self-test")
        checks = answer.data["checks"]
        assert isinstance(checks, list)
        found = {check["name"]: check["state"] for check in checks if isinstance(check, dict)}
        assert found["model"] == found["broker"] == found["spool"] == "ok"
        assert code(requester.ask("make-coffee")) == "command_unknown"


def test_calibrate_measures_what_the_camera_shows_and_reads_nothing_for_it(
    broker_port: int, requester: Requester, subscriber: Subscriber, tmp_path: Path
) -> None:
    camera = {**FIELDS, "um_per_pixel": 0.2, "frames_per_field_count": 3}
    config = configuration(broker_port, trigger=STILL, camera=camera, state={"folder": str(tmp_path)})
    with serving(config, requester) as agent:
        subscriber.until_state("ready")
        answer = requester.ask("calibrate", request(frames_count=4))
        assert answer.state is AnswerState.DONE, answer.error
        assert agent.counts.readings_count == 0
        found = Calibration.model_validate_json(json.dumps(answer.data["calibration"]))
        assert found.frames_count == 4
        assert found.light is not None
        assert [check.name for check in found.checks] == ["scale", "exposure", "white_balance", "evenness"]
        assert answer.data["setting"] == found.setting
        assert last_calibration(tmp_path) == found
        assert code(requester.ask("calibrate", request(frames_count=21))) == "command_invalid"
        # Readings go on as before.
        assert requester.ask("capture").data["seq"] == 0


def test_calibrate_is_content_with_the_one_file_that_waits(
    broker_port: int, requester: Requester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.agent.calibration_run.FRAME_DEADLINE_S", 1.0)
    Image.fromarray(draw_ruler(40, 20)).save(tmp_path / "ruler.png")
    camera = {"kind": "folder", "path": str(tmp_path), "loop": True}
    with serving(configuration(broker_port, trigger=STILL, camera=camera), requester):
        answer = requester.ask("calibrate", request(method="micrometer", division_um=10))
        found = Calibration.model_validate_json(json.dumps(answer.data["calibration"]))
        assert found.frames_count == 1
        assert found.scale is not None
        assert found.scale.um_per_pixel == pytest.approx(10 / 40, rel=0.01)
        # The file was only looked at: it is still the first to be read.
        assert requester.ask("capture").data["seq"] == 0


def test_calibrate_without_frames_ends_in_one_clear_error(
    broker_port: int, requester: Requester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.agent.calibration_run.FRAME_DEADLINE_S", 0.5)
    camera = {"kind": "folder", "path": str(tmp_path / "nothing-here")}
    with serving(configuration(broker_port, trigger=STILL, camera=camera), requester):
        assert code(requester.ask("calibrate")) in {"camera_absent", "camera_timeout"}
        assert requester.ask("pause").state is AnswerState.DONE
        assert code(requester.ask("calibrate")) == "agent_paused"


def test_get_config_tells_no_secret(broker_port: int, requester: Requester, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("open-sesame")
    mqtt = {"port": broker_port, "username": "scope", "password_file": str(secret)}
    with serving(configuration(broker_port, trigger=STILL, mqtt=mqtt), requester):
        answer = requester.ask("get-config")
        assert "open-sesame" not in answer.model_dump_json()
