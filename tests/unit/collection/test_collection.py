"""The collection as the agent and the page use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from edge_agent.cameras.frame import ColourOrder, Pixels
from edge_agent.collection.being_labelled import BeingLabelled
from edge_agent.collection.held_frames import MAX_BYTES, MAX_COUNT, HeldFrames
from edge_agent.contracts import EventKind, Outcome, SpecimenField
from edge_agent.errors import FrameNotKept, LabelInvalid
from tests.kept import Readings, Recorded, collecting, fill, make_collection, pixels

OUTCOMES = [Outcome.CLASSIFIED, Outcome.ABSTAINED, Outcome.REJECTED, Outcome.FAILED, Outcome.CLASSIFIED]


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"keep": "nothing"}, []),
        ({"keep": "refused"}, [1, 2]),
        ({"keep": "all"}, [0, 1, 2, 4]),
        ({"keep": "every_nth", "every_nth_count": 2}, [0, 2]),
        ({"keep": "every_nth", "every_nth_count": 1}, [0, 1, 2, 4]),
        ({"keep": "on_request"}, []),
    ],
)
def test_the_settings_say_what_is_kept(tmp_path: Path, settings: dict[str, Any], kept: list[int]) -> None:
    readings = Readings()
    made = [readings.make(outcome=outcome) for outcome in OUTCOMES]
    with collecting(tmp_path / "collection", **settings) as collection:
        for result, reading in made:
            collection.offer(result, reading)
    found = make_collection(tmp_path / "collection").recent(9)
    assert [each.result.id for each in reversed(found)] == [made[index][0].id for index in kept]


def test_nothing_is_written_where_nothing_is_kept(tmp_path: Path) -> None:
    with collecting(tmp_path / "collection", keep="nothing") as collection:
        collection.offer(*Readings().make())
        assert collection.state().frames_count == 0
        assert collection.next("classes") is None
    assert not (tmp_path / "collection").exists()


def test_nothing_kept_says_where_the_frame_came_from(tmp_path: Path) -> None:
    (frame,) = fill(tmp_path, 1, source="patient-doe/field7.jpg")
    content = (tmp_path / f"{frame}.json").read_text()
    assert json.loads(content)["result"]["source"] is None
    assert "doe" not in content


def test_a_recent_frame_is_kept_on_request_and_an_old_one_is_not(tmp_path: Path) -> None:
    readings = Readings()
    made = [readings.make() for _ in range(MAX_COUNT + 1)]
    with collecting(tmp_path, keep="on_request") as collection:
        for result, reading in made:
            collection.offer(result, reading)
        for _ in range(2):
            collection.keep(made[1][0].id)
        with pytest.raises(FrameNotKept, match="not held any more"):
            collection.keep(made[0][0].id)
        assert [each.result.id for each in collection.recent(5)] == [made[1][0].id]


def test_without_on_request_there_is_nothing_to_keep_later(tmp_path: Path) -> None:
    result, reading = Readings().make()
    with collecting(tmp_path, keep="refused") as collection:
        collection.offer(result, reading)
        with pytest.raises(FrameNotKept, match="'refused'"):
            collection.keep(result.id)


def test_held_frames_are_bounded_in_bytes() -> None:
    held, readings = HeldFrames(), Readings()
    side_px = 2400
    image = Pixels(pixels(0, (side_px, side_px)), ColourOrder.RGB)
    made = [readings.make(image) for _ in range(6)]
    for result, reading in made:
        held.add(result, reading.frame)
    most = MAX_BYTES // image.array.nbytes
    assert [held.find(result.id) is not None for result, _ in made] == [False] * (6 - most) + [True] * most


def test_labelling_runs_from_the_oldest_and_skipped_ones_come_last(tmp_path: Path) -> None:
    first, second, third = fill(tmp_path, 3, specimen=SpecimenField(id="S-7K3F", slide=1, field=1))
    collection = make_collection(tmp_path)
    offered = collection.next("classes")
    assert offered is not None
    assert (offered.item, offered.then, offered.waiting_count, offered.skipped) == (first, (second, third), 3, False)
    assert offered.specimen is not None
    collection.label(first, "classes", "skip", by="work")
    offered = collection.next("classes")
    assert offered is not None
    assert (offered.item, offered.then) == (second, (third, first))
    collection.label(second, "classes", "benign", by="work")
    collection.label(third, "classes", "not_usable", by="work")
    offered = collection.next("classes")
    assert offered is not None
    assert (offered.item, offered.skipped) == (first, True)
    collection.label(first, "classes", "pre-b", by="work")
    assert collection.next("classes") is collection.next("classes", "second-look") is None
    (state,) = make_collection(tmp_path).state().sets
    assert (state.labelled_count, state.not_usable_count, state.unlabelled_count, state.disputed_count) == (2, 1, 0, 0)
    assert {each.code: each.labelled_count for each in state.labels} == {
        "benign": 1,
        "early-pre-b": 0,
        "pre-b": 1,
        "pro-b": 0,
    }


def test_who_disagrees_with_the_model_is_asked_again_blind(tmp_path: Path) -> None:
    frame, agreed = fill(tmp_path, 2, label="pre-b")
    collection = make_collection(tmp_path)
    collection.label(frame, "classes", "benign", by="work")
    collection.label(agreed, "classes", "pre-b", by="work")
    offered = collection.next("classes", "second-look")
    assert offered is not None
    assert (offered.item, offered.waiting_count) == (frame, 1)
    assert "pre-b" not in offered.to_json().decode()
    assert "benign" not in offered.to_json().decode()
    collection.label(frame, "classes", "pro-b", by="work")
    assert collection.next("classes", "second-look") is not None
    collection.label(frame, "classes", "benign", by="work")
    assert collection.next("classes", "second-look") is None
    (state,) = collection.state().sets
    assert [each.labelled_count for each in state.labels] == [1, 0, 1, 0]


def test_the_model_is_not_compared_with_a_set_of_other_labels(tmp_path: Path) -> None:
    sets = [
        {"name": "smear", "labels": [{"code": code, "name": code, "malignant": False} for code in ("thin", "thick")]}
    ]
    (frame,) = fill(tmp_path, 1, label="pre-b")
    collection = make_collection(tmp_path, label_sets=sets)
    collection.label(frame, "smear", "thick", by="work")
    assert collection.next("smear", "second-look") is None


def test_an_answer_that_is_sent_twice_counts_once(tmp_path: Path) -> None:
    (frame,) = fill(tmp_path, 1, label="pre-b")
    collection, entry = make_collection(tmp_path), uuid4()
    made = [collection.label(frame, "classes", "benign", by="work", entry_id=entry) for _ in range(3)]
    assert made[0] == made[1] == made[2]
    # Counted twice, they would have settled it.
    assert collection.next("classes", "second-look") is not None


def test_undo_takes_back_one_answer_after_the_other(tmp_path: Path) -> None:
    frames = fill(tmp_path, 2)
    collection = make_collection(tmp_path)
    for frame in frames:
        collection.label(frame, "classes", "benign", by="work")
    other = collection.label(frames[0], "classes", "pro-b", by="administer")
    assert [collection.undo("classes", by="work").item for _ in range(2)] == [frames[1], frames[0]]
    with pytest.raises(LabelInvalid, match="nothing to undo"):
        collection.undo("classes", by="work")
    assert collection.undo("classes", by="work", entry_id=other.id) == other
    with pytest.raises(LabelInvalid):
        collection.undo("classes", by="work", entry_id=other.id)
    with pytest.raises(LabelInvalid):
        collection.undo("classes", by="work", entry_id=uuid4())
    offered = make_collection(tmp_path).next("classes")
    assert offered is not None
    assert offered.waiting_count == 2


@pytest.mark.parametrize(
    ("set_name", "label"), [("other", "benign"), ("classes", "healthy"), ("classes", ""), ("", "benign")]
)
def test_a_label_that_the_set_does_not_have_is_refused(tmp_path: Path, set_name: str, label: str) -> None:
    (frame,) = fill(tmp_path, 1)
    with pytest.raises(LabelInvalid):
        make_collection(tmp_path).label(frame, set_name, label, by="work")
    assert not (tmp_path / "labels.jsonl").exists()


def test_a_queue_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelInvalid, match="unlabelled, second-look"):
        make_collection(tmp_path).next("classes", "third-look")


def test_a_frame_that_is_not_kept_cannot_be_labelled(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    with pytest.raises(FrameNotKept):
        make_collection(tmp_path).label(UUID(int=1), "classes", "benign", by="work")


def test_what_another_process_deleted_is_not_offered(tmp_path: Path) -> None:
    first, second = fill(tmp_path, 2)
    collection = make_collection(tmp_path)
    assert collection.state().frames_count == 2
    (tmp_path / f"{first}.json").unlink()
    (tmp_path / f"{first}.jpg").unlink()
    offered = collection.next("classes")
    assert offered is not None
    assert (offered.item, offered.waiting_count) == (second, 1)


def test_the_field_that_somebody_looks_at_does_not_make_room(tmp_path: Path) -> None:
    frames = fill(tmp_path, 4)
    readings = Readings()
    with collecting(tmp_path, max_frames_count=5) as collection:
        offered = collection.next("classes")
        assert offered is not None
        assert (offered.item, *offered.then) == tuple(frames)
        for _ in range(4):
            result, reading = readings.make()
            collection.offer(result, reading)
    collection.label(offered.item, "classes", "benign", by="work")
    assert {each.result.id for each in collection.recent(9)} == {*frames, result.id}


def test_what_is_being_labelled_is_bounded_in_number_and_time() -> None:
    now_s = [0.0]
    frames = [UUID(int=number) for number in range(40)]
    held = BeingLabelled(lambda: now_s[0])
    held.add(frames)
    assert [frame in held for frame in frames] == [False] * 8 + [True] * 32
    now_s[0] = 901
    held.add(frames[:1])
    assert [frame in held for frame in frames] == [True] + [False] * 39


def test_to_delete_everything_leaves_no_picture_behind(tmp_path: Path) -> None:
    first, _, third = fill(tmp_path, 3)
    # Another release's, and one whose picture was damaged while it was labelled.
    (tmp_path / f"{first}.json").write_text('{"schema": "leukoscope/kept-frame/v9"}')
    collection = make_collection(tmp_path)
    collection.label(third, "classes", "benign", by="work")
    (tmp_path / f"{third}.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").touch()
    command = make_collection(tmp_path, beside_agent=True)
    assert (command.state().frames_count, command.state().unreadable_count) == (1, 2)
    assert command.delete() == 3
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]
    assert (command.state().frames_count, command.state().size_bytes, command.state().unreadable_count) == (0, 0, 0)
    assert make_collection(tmp_path / "none", beside_agent=True).delete() == 0


def test_the_newest_come_first_and_damaged_records_are_left_out(tmp_path: Path) -> None:
    frames = fill(tmp_path, 4)
    collection = make_collection(tmp_path)
    assert collection.state().frames_count == 4
    (tmp_path / f"{frames[2]}.json").write_text("damaged")
    assert [each.result.id for each in collection.recent(2)] == [frames[3], frames[1]]


def test_frames_of_one_specimen_can_be_deleted_and_then_all(tmp_path: Path) -> None:
    recorded, readings = Recorded(), Readings()
    theirs = fill(tmp_path, 2, readings, specimen=SpecimenField(id="S-7K3F", slide=1, field=1))
    others = fill(tmp_path, 2, readings)
    collection = make_collection(tmp_path, on_event=recorded)
    collection.label(others[0], "classes", "benign", by="work")
    assert collection.delete("S-7K3F") == 2
    assert not [path for path in tmp_path.iterdir() if any(str(frame) in path.name for frame in theirs)]
    assert collection.state().sets[0].labelled_count == 1
    assert collection.delete() == 2
    assert list(tmp_path.iterdir()) == []
    assert recorded.events == [(EventKind.COLLECTION_DELETED, None)] * 2
