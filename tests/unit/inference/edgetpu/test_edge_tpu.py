from __future__ import annotations

import gc
import shutil
import weakref
from pathlib import Path

import psutil
import pytest

from edge_agent.errors import EdgeTpuStalled
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import MODEL, shipped_bundles
from edge_agent.inference.edgetpu.edge_tpu import LOOK_INTERVAL_S, EdgeTpu, EdgeTpuLost, EdgeTpuReady
from edge_agent.inference.edgetpu.options import EdgeTpuOptions
from tests.edge_tpu.stand_in import add_compiled, compile_stand_in
from tests.heads import write_head
from tests.unit.inference.edgetpu.conftest import MakeRig

SHORT_S = 0.2
"""Deadline of a test in which the Edge TPU stalls."""


def test_what_the_edge_tpu_says_is_what_the_processor_says(make_rig: MakeRig) -> None:
    rig = make_rig()
    assert rig.judge() is None
    rig.edge_tpu.do_round()
    assert [rig.judge() for _ in range(3)] == ["edge_tpu"] * 3
    assert rig.changes == [EdgeTpuReady(rig.edge_tpu.device, None, 1)]
    assert rig.problem is None


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("stall", "edge_tpu_stalled"),
        ("crash", "edge_tpu_crashed"),
        ("segv", "edge_tpu_crashed"),
        ("exit", "edge_tpu_crashed"),
        ("refuse", "edge_tpu_failed"),
        ("stale", "edge_tpu_wrong"),
        ("garble", "edge_tpu_wrong"),
    ],
)
def test_a_fault_costs_no_reading_and_is_over_once_its_cause_is(make_rig: MakeRig, fault: str, code: str) -> None:
    rig = make_rig(deadline_s=SHORT_S if fault == "stall" else 5.0)
    rig.edge_tpu.do_round()
    assert rig.judge() == "edge_tpu"
    rig.command(fault)
    assert [rig.judge(), rig.judge()] == [None, None]
    assert rig.state() == (None, code)
    rig.command("work")
    rig.now_s += 1.5
    rig.edge_tpu.do_round()
    assert rig.state() == ("edge_tpu", None)
    lost, ready = rig.changes[-2:]
    assert isinstance(lost, EdgeTpuLost)
    assert lost.error.code == code
    assert isinstance(ready, EdgeTpuReady)
    assert ready.away_s == pytest.approx(1.5)
    assert ready.by_processor_count == 3


def test_answers_that_are_wrong_and_like_right_ones_are_noticed_by_a_golden_field(make_rig: MakeRig) -> None:
    rig = make_rig(check_interval_count=3)
    rig.edge_tpu.do_round()
    rig.command("noise")
    # According to the documentation, the first two can happen: nothing shows that they are wrong.
    found = [rig.classifier.classify(next(rig.pictures)).accelerator for _ in range(2)]
    assert found == ["edge_tpu", "edge_tpu"]
    assert rig.judge() is None
    rig.edge_tpu.do_round()
    lost = rig.changes[-1]
    assert isinstance(lost, EdgeTpuLost)
    assert (lost.error.code, lost.answers_count, lost.unchecked_count) == ("edge_tpu_wrong", 3, 3)


def test_one_that_is_wrong_from_the_start_judges_nothing(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.command("noise")
    rig.edge_tpu.do_round()
    assert rig.state() == (None, "edge_tpu_wrong")


def test_a_golden_field_in_between_changes_nothing_as_long_as_all_is_well(make_rig: MakeRig) -> None:
    rig = make_rig(check_interval_count=2)
    rig.edge_tpu.do_round()
    assert [rig.judge() for _ in range(9)] == ["edge_tpu"] * 9


def test_the_same_picture_twice_is_no_fault(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.edge_tpu.do_round()
    picture = next(rig.pictures)
    assert [rig.classifier.classify(picture).accelerator for _ in range(3)] == ["edge_tpu"] * 3


def test_several_pictures_at_once_are_judged_by_one_of_both(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.edge_tpu.do_round()
    pictures = [next(rig.pictures) for _ in range(3)]
    assert {each.accelerator for each in rig.classifier.classify_all(pictures)} == {"edge_tpu"}
    # Golden fields and those three were nine, so this is the second of the next three.
    rig.command("crash 8")
    assert {each.accelerator for each in rig.classifier.classify_all(pictures)} == {None}


def test_one_that_is_unplugged_is_given_up_before_a_picture_waits_for_it(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.edge_tpu.do_round()
    rig.usb.unplug()
    rig.edge_tpu.do_round()
    assert rig.state() == (None, "edge_tpu_missing")
    rig.edge_tpu.do_round()
    assert rig.state() == (None, "edge_tpu_missing")
    # Immediately when it is back, before its firmware is loaded, whatever the pause was.
    rig.usb.plug_in("1a6e:089a")
    rig.edge_tpu.do_round()
    assert rig.state() == ("edge_tpu", None)


def test_one_that_comes_later_is_used_and_is_no_problem_before(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.usb.unplug()
    rig.edge_tpu.do_round()
    assert rig.state() == (None, None)
    rig.usb.plug_in()
    rig.edge_tpu.do_round()
    assert rig.judge() == "edge_tpu"


def test_one_that_is_required_is_a_problem_as_long_as_it_is_missing(make_rig: MakeRig) -> None:
    rig = make_rig(required=True)
    rig.usb.unplug()
    rig.edge_tpu.do_round()
    assert rig.problem == "edge_tpu_missing"


@pytest.mark.parametrize("used_before", [False, True])
def test_one_that_is_missing_is_looked_for_no_more_often_than_at_any_other_time(
    make_rig: MakeRig, *, used_before: bool
) -> None:
    rig = make_rig(required=True)
    if used_before:
        rig.edge_tpu.do_round()
    rig.usb.unplug()
    for _ in range(3):
        rig.edge_tpu.do_round()
        rig.now_s += 10
    assert rig.problem == "edge_tpu_missing"
    assert rig.edge_tpu.wait_s() == LOOK_INTERVAL_S


def test_attempts_that_fail_alike_are_told_once_and_come_less_and_less_often(make_rig: MakeRig) -> None:
    rig = make_rig(library="/nowhere/libedgetpu.so.1", retry_initial_s=1.0, retry_max_s=2.0)
    attempts: list[float] = []
    for second in range(6):
        rig.now_s = 100.0 + second
        before = rig.edge_tpu.problem
        rig.edge_tpu.do_round()
        if rig.edge_tpu.problem is not before:
            attempts.append(rig.now_s - 100.0)
    assert attempts == [0, 1, 3, 5]
    assert rig.problem == "edge_tpu_library_missing"
    assert len(rig.changes) == 1
    assert rig.judge() is None


def test_attempts_that_fail_alike_are_told_once_also_where_it_comes_and_goes(make_rig: MakeRig) -> None:
    rig = make_rig(library="/nowhere/libedgetpu.so.1")
    for _ in range(2):
        rig.edge_tpu.do_round()
        assert rig.problem == "edge_tpu_library_missing"
        rig.usb.unplug()
        rig.edge_tpu.do_round()
        assert rig.problem == "edge_tpu_missing"
        rig.usb.plug_in()
    assert len(rig.changes) == 1


def test_a_library_that_gives_no_device_is_one_clear_error(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.command("absent")
    rig.edge_tpu.do_round()
    assert rig.problem == "edge_tpu_failed"
    assert "no Edge TPU answers" in str(rig.edge_tpu.problem)


def test_a_library_that_never_returns_is_killed(make_rig: MakeRig) -> None:
    rig = make_rig(start_deadline_s=SHORT_S)
    rig.command("hang")
    rig.edge_tpu.do_round()
    assert isinstance(rig.edge_tpu.problem, EdgeTpuStalled)


@pytest.mark.parametrize(
    ("model", "complaint"), [("accurate", "has another"), ("uncompiled", "was not compiled"), ("empty", "not compiled")]
)
def test_a_file_that_is_not_the_bundles_model_is_refused(
    make_rig: MakeRig, tmp_path: Path, bundle_for_coral: Path, model: str, complaint: str
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle_for_coral, folder)
    contents = {
        "accurate": compile_stand_in((shipped_bundles()["accurate"] / MODEL).read_bytes()),
        "uncompiled": (folder / MODEL).read_bytes(),
        "empty": b"",
    }
    add_compiled(folder, contents[model])
    rig = make_rig(bundle=folder)
    rig.edge_tpu.do_round()
    assert rig.problem == "edge_tpu_model_unusable"
    assert complaint in str(rig.edge_tpu.problem)
    assert rig.judge() is None


def test_nothing_is_left_of_it_in_the_end(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.edge_tpu.do_round()
    assert rig.edge_tpu.process_id is not None
    process = psutil.Process(rig.edge_tpu.process_id)
    rig.edge_tpu.close()
    assert not process.is_running()
    assert rig.judge() is None


def test_its_thread_does_all_that_and_gives_up_a_start_that_is_under_way(make_rig: MakeRig) -> None:
    rig = make_rig()
    rig.command("hang")
    rig.edge_tpu.start()
    # Otherwise, closing would wait for the start for half a minute.
    rig.edge_tpu.close()
    assert rig.changes == []


def test_another_model_takes_its_place(make_rig: MakeRig, bundle_for_coral: Path) -> None:
    rig = make_rig()
    rig.edge_tpu.do_round()
    first = rig.edge_tpu.process_id
    other = Classifier(load_bundle(bundle_for_coral))
    other.accelerate(rig.edge_tpu)
    rig.edge_tpu.do_round()
    assert other.classify(next(rig.pictures)).accelerator == "edge_tpu"
    assert rig.edge_tpu.process_id != first
    # A frame in progress is not judged by a model that is not its own.
    assert rig.judge() is None


def test_a_model_whose_place_was_taken_is_not_kept(bundle_for_coral: Path) -> None:
    edge_tpu = EdgeTpu(EdgeTpuOptions())
    first, second = (Classifier(load_bundle(bundle_for_coral)) for _ in range(2))
    first.accelerate(edge_tpu)
    kept = weakref.ref(first)
    # Python's collections spare what was loaded before the first reading.
    gc.disable()
    try:
        second.accelerate(edge_tpu)
        del first
        assert kept() is None
    finally:
        gc.enable()
    edge_tpu.close()


def test_a_head_judges_what_the_edge_tpu_gives_as_what_the_processor_does(make_rig: MakeRig, tmp_path: Path) -> None:
    rig = make_rig(head=write_head(tmp_path / "head"))
    rig.edge_tpu.do_round()
    # Its labels, its familiarity, and its own map.
    assert [rig.judge() for _ in range(2)] == ["edge_tpu"] * 2
    rig.command("crash")
    assert rig.judge() is None
