"""Fitting heads beside the readings: what comes out, and every way in which it can end."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest

from edge_agent.adaptation.state import FitState
from edge_agent.collection.store import FrameStore
from edge_agent.contracts import EventKind
from edge_agent.errors import (
    AdaptationBusy,
    AdaptationIdle,
    AdaptationMissing,
    AdaptationOff,
    DiskLow,
    LabelInvalid,
    LabelsTooFew,
    ModelUnknown,
    UnsignedRefused,
)
from tests.teaching import FAKE_TRAINER, Teaching, teaching


def leftovers(made: Teaching) -> list[str]:
    return [each.name for each in (made.folder / "work").glob("*")] if (made.folder / "work").exists() else []


def child_of(caplog: pytest.LogCaptureFixture) -> int:
    return next(int(found[1]) for each in caplog.messages if (found := re.search(r"pid (\d+)", each)))


def test_a_head_is_fitted_tested_and_installed_with_its_report(tmp_path: Path) -> None:
    with teaching(tmp_path) as made:
        begun = made.adaptation.fit(None, "north-1")
        assert (begun.state, begun.mode, begun.label_set) == ("running", "head", "classes")
        state = made.until_ended()
        assert state.state is FitState.DONE
        assert state.head is not None
        assert (state.head.name, state.head.version, state.head.provisional) == ("north-1", "1.0.0", True)
        assert any("'benign' has 6 images" in each for each in state.head.reasons)
        assert state.figures[-1].images_count == 12
        assert (state.figures[-1].low_ratio, state.figures[-1].high_ratio) == (0.8, 0.95)
        assert state.report is not None
        assert [each.more_count for each in state.report.advice] == [20]
        assert state.report.warnings == ("The size of the picture alone tells the label.",)
        assert len(state.report.mistakes) == 1, "only a kept frame can be looked at again"
        assert made.collection.picture(state.report.mistakes[0].item)
        assert made.heads.installed == ["head"]
        assert [kind for kind, _, _ in made.events] == [EventKind.ADAPTATION_STARTED, EventKind.ADAPTATION_FINISHED]
        assert "provisional" in made.events[-1][1]
        assert not leftovers(made)
        made.adaptation.fit("classes", "north-1")
        made.until(lambda found: found.head is not None and found.head.version == "1.0.1")


def test_a_head_with_enough_labels_may_be_used(tmp_path: Path) -> None:
    with teaching(tmp_path, counts={"benign": 12, "pre-b": 12}) as made:
        made.adaptation.fit(None, "north-1")
        head = made.until_ended().head
        assert head is not None
        assert (head.provisional, head.reasons) == (False, ())


def test_the_figure_follows_the_labels_and_is_measured_once_for_each_number_of_them(tmp_path: Path) -> None:
    with teaching(tmp_path) as made:
        assert made.adaptation.measure(None).mode == "figure"
        state = made.until_ended()
        assert [each.images_count for each in state.figures] == [12]
        assert state.head is None, "its head is not kept"
        assert not made.heads.installed
        assert made.adaptation.measure(None).state is FitState.DONE, "nothing has changed"
        made.collection.label(made.spare, "classes", "benign", by="work")
        assert made.adaptation.measure(None).state is FitState.RUNNING
        assert [each.images_count for each in made.until_ended().figures] == [12, 13]
        assert not made.events, "only heads are worth an event"


def test_another_bundle_is_measured_with_the_same_labels(tmp_path: Path) -> None:
    with teaching(tmp_path) as made:
        made.adaptation.measure(None)
        [first] = made.until_ended().figures
        made.bundle.append("accurate")
        assert made.adaptation.measure(None).state is FitState.RUNNING
        [second] = made.until_ended().figures
        assert second.at >= first.at
        assert second != first, "the figure of another bundle says nothing of this one"


def test_the_process_has_the_lowest_priority_bounds_and_nothing_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("PASSWORD", "open-sesame")
    caplog.set_level(logging.INFO)
    with teaching(tmp_path, "bounds", max_memory_mib=300) as made:
        made.adaptation.fit(None, "north-1")
        made.until_ended()
    bounds = [re.search(r"fit: bound (\w+) (.+)", each) for each in caplog.messages]
    told = {each[1]: json.loads(each[2]) for each in bounds if each}
    assert told["nice"] == 19
    assert told["idle"]
    assert told["group"]
    assert told["data"] == 300 * 2**20
    assert told["threads"] == "1"
    assert not told["environment"]


def test_only_one_head_is_fitted_at_a_time_and_it_can_be_cancelled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with teaching(tmp_path, "hang") as made:
        with pytest.raises(AdaptationIdle):
            made.adaptation.cancel()
        made.adaptation.fit(None, "north-1")
        running = made.until(lambda state: state.stage == "fitting")
        assert running.progress_ratio == 0.5
        made.until(lambda _state: any("pid" in each for each in caplog.messages))
        with pytest.raises(AdaptationBusy):
            made.adaptation.fit(None, "north-2")
        assert made.adaptation.measure(None).mode == "head", "the figure can wait"
        made.adaptation.cancel()
        assert made.until_ended().state is FitState.CANCELLED
        assert not psutil.pid_exists(child_of(caplog))
        assert made.events[-1][0] is EventKind.ADAPTATION_CANCELLED
        assert not leftovers(made)


def test_a_fit_can_be_cancelled_while_its_pictures_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, go_on, read = threading.Event(), threading.Event(), []

    def picture(store: FrameStore, frame_id: UUID) -> bytes:
        read.append(frame_id)
        reached.set()
        assert go_on.wait(60)
        return of_disk(store, frame_id)

    of_disk = FrameStore.picture
    monkeypatch.setattr(FrameStore, "picture", picture)
    with teaching(tmp_path) as made:
        made.adaptation.fit(None, "north-1")
        assert reached.wait(60)
        made.adaptation.cancel()
        go_on.set()
        assert made.until_ended().state is FitState.CANCELLED
        assert len(read) == 1, "a stop of the agent would wait for all of them"
        assert not leftovers(made)


def test_a_measurement_gives_way_to_a_head(tmp_path: Path) -> None:
    with teaching(tmp_path, "hang") as made:
        made.adaptation.measure(None)
        made.until(lambda state: state.stage == "fitting")
        made.adaptation._program = [sys.executable, str(FAKE_TRAINER), "good"]
        made.adaptation.fit(None, "north-1")
        state = made.until_ended()
        assert (state.state, state.mode) == ("done", "head")
        assert made.adaptation.measure(None).state is FitState.DONE, "the head's own figure is of the same labels"


def test_a_measurement_that_gave_way_to_a_cancelled_head_is_made_up_for(tmp_path: Path) -> None:
    with teaching(tmp_path, "hang") as made:
        made.adaptation.measure(None)
        made.until(lambda state: state.stage == "fitting")
        made.adaptation.fit(None, "north-1")
        made.until(lambda state: state.stage == "fitting")
        made.adaptation.cancel()
        made.until_ended()
        made.adaptation._program = [sys.executable, str(FAKE_TRAINER), "good"]
        assert made.adaptation.measure(None).state is FitState.RUNNING
        assert len(made.until_ended().figures) == 1


def test_the_process_ends_with_the_agent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with teaching(tmp_path, "hang") as made:
        made.adaptation.fit(None, "north-1")
        made.until(lambda _state: any("pid" in each for each in caplog.messages))
    assert not psutil.pid_exists(child_of(caplog))
    assert not leftovers(made)


AGENT = """
import sys
from pathlib import Path
from tests.teaching import teaching
with teaching(Path(sys.argv[1]), "hang") as made:
    made.adaptation.fit(None, "north-1")
    made.until(lambda state: state.stage == "fitting")
    print("fitting", flush=True)
    sys.stdin.read()
"""


def test_the_process_dies_with_a_killed_agent_and_the_next_start_is_clean(tmp_path: Path) -> None:
    agent = subprocess.Popen(
        [sys.executable, "-c", AGENT, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert agent.stdout is not None
    assert agent.stdin is not None
    assert agent.stdout.readline() == "fitting\n"
    [child] = psutil.Process(agent.pid).children()
    agent.send_signal(signal.SIGKILL)
    agent.wait()
    agent.stdin.close()
    agent.stdout.close()
    child.wait(10)
    work = tmp_path / "adaptation" / "work"
    assert any(work.rglob("*.jpg"))
    with teaching(tmp_path, counts={}) as made:
        assert not work.exists()
        assert made.adaptation.state().state is FitState.IDLE
        made.adaptation.fit(None, "north-1")
        assert made.until_ended().state is FitState.DONE


def test_a_killed_process_is_a_clear_error_and_the_next_fit_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with teaching(tmp_path, "hang") as made:
        made.adaptation.fit(None, "north-1")
        made.until(lambda _state: any("pid" in each for each in caplog.messages))
        os.kill(child_of(caplog), signal.SIGKILL)
        state = made.until_ended()
        assert state.error is not None
        assert (state.state, state.error.code) == ("failed", "adaptation_memory")
        assert "killed by the system" in state.error.message
        made.adaptation._program = [sys.executable, str(FAKE_TRAINER), "good"]
        made.adaptation.fit(None, "north-1")
        assert made.until_ended().state is FitState.DONE


def test_a_stop_of_the_whole_service_is_no_failure_of_the_fit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with teaching(tmp_path, "hang") as made:
        made.adaptation.fit(None, "north-1")
        made.until(lambda _state: any("pid" in each for each in caplog.messages))
        # As systemd does, before the agent itself has begun to stop.
        os.kill(child_of(caplog), signal.SIGTERM)
        state = made.until_ended()
        assert (state.state, state.error) == ("cancelled", None)
        assert made.events[-1][0] is EventKind.ADAPTATION_CANCELLED


@pytest.mark.parametrize(
    ("mode", "settings", "code", "words"),
    [
        ("memory", {"max_memory_mib": 256}, "adaptation_memory", "more than 256 MiB"),
        ("hang", {"deadline_minutes": 0.01}, "adaptation_timeout", "not finished after 0.01 minutes"),
        ("deaf", {"deadline_minutes": 0.01}, "adaptation_timeout", "not finished"),
        ("refuse", {}, "adaptation_failed", "code 2. It said: error: only one group"),
        ("silent", {}, "adaptation_failed", "left no head.json"),
        ("bad-head", {}, "adaptation_failed", "cannot be read: schema"),
        ("huge-head", {}, "adaptation_failed", "more than 1048576 bytes"),
    ],
)
def test_every_end_without_a_head_is_one_clear_error(
    tmp_path: Path, mode: str, settings: dict[str, Any], code: str, words: str
) -> None:
    with teaching(tmp_path, mode, **settings) as made:
        made.adaptation.fit(None, "north-1")
        state = made.until_ended()
        assert state.error is not None
        assert (state.state, state.error.code) == ("failed", code)
        assert words in state.error.message
        assert state.error.remedy
        assert (made.events[-1][0], made.events[-1][2]) == (EventKind.ADAPTATION_FAILED, code)
        assert not made.heads.installed
        assert not leftovers(made)


def test_garbage_is_logged_shortened_and_harms_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with teaching(tmp_path, "garbage") as made:
        made.adaptation.fit(None, "north-1")
        state = made.until_ended()
        assert state.state is FitState.DONE
        assert 0 <= state.progress_ratio <= 1
    said = [each for each in caplog.messages if each.startswith("fit: ")]
    assert said
    assert len(said) <= 51
    assert max(map(len, said)) < 400
    assert all(each.isprintable() for each in said)


def test_a_head_that_cannot_be_installed_fails_the_fit(tmp_path: Path) -> None:
    with teaching(tmp_path) as made:
        made.heads.error = ModelUnknown("no room.")
        made.adaptation.fit(None, "north-1")
        state = made.until_ended()
        assert state.error is not None
        assert (state.state, state.error.code, state.head) == ("failed", "model_unknown", None)


def test_a_full_disk_is_told_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with teaching(tmp_path) as made:

        def full(_folder: Path, _bytes: int) -> None:
            raise DiskLow("1 MiB are free.")

        monkeypatch.setattr("edge_agent.collection.collection.check_space", full)
        made.adaptation.fit(None, "north-1")
        state = made.until_ended()
        assert state.error is not None
        assert state.error.code == "disk_low"
        assert not leftovers(made)


def test_what_cannot_begin_is_refused(tmp_path: Path) -> None:
    with teaching(tmp_path / "off", enabled=False) as made, pytest.raises(AdaptationOff):
        made.adaptation.fit(None, "north-1")
    with teaching(tmp_path / "few", counts={"benign": 9, "pre-b": 4}) as made, pytest.raises(LabelsTooFew):
        made.adaptation.fit(None, "north-1")
    with teaching(tmp_path / "set") as made, pytest.raises(LabelInvalid):
        made.adaptation.fit("none", "north-1")


def test_a_head_that_could_never_be_installed_is_not_fitted(tmp_path: Path) -> None:
    with teaching(tmp_path) as made:
        made.heads.refusal = UnsignedRefused("it has no signature.")
        with pytest.raises(UnsignedRefused):
            made.adaptation.fit("classes", "north-1")
        assert made.adaptation.state().state == "idle"
        assert made.events == []


def test_a_device_without_the_trainer_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with teaching(tmp_path) as made:
        made.adaptation._program = None
        monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
        assert not made.adaptation.state().installed
        with pytest.raises(AdaptationMissing) as refused:
            made.adaptation.fit(None, "north-1")
        assert "leukoscope[adapt]" in refused.value.remedy


def test_pictures_are_not_written_twice_and_nobody_else_may_read_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with teaching(tmp_path, "hang") as made:
        made.adaptation.fit(None, "north-1")
        made.until(lambda state: state.stage == "fitting")
        data = made.folder / "work" / "data"
        pictures = list(data.rglob("*.jpg"))
        assert len(pictures) == 12
        assert all(each.stat().st_nlink == 2 for each in pictures)
        assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_what_was_remembered_of_deleted_frames_is_forgotten(tmp_path: Path) -> None:
    with teaching(tmp_path, counts={"benign": 7, "pre-b": 6}) as made:
        made.adaptation.measure(None)
        made.until_ended()
        cached = made.folder / "cache" / "features"
        assert cached.is_file()
        gone = next(each for each in made.collection.folder.glob("*.jpg") if each.stem in cached.read_text())
        store = made.collection._store
        store.remove([next(each.id for each in store.frames() if str(each.id) == gone.stem)])
        (made.folder / "cache" / "old").touch()
        made.adaptation.measure(None)
        made.until_ended()
        assert not (made.folder / "cache" / "old").exists()
        made.adaptation.forget()
        assert not made.folder.exists()
    shutil.rmtree(made.collection.folder)
