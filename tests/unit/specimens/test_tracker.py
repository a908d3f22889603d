from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from edge_agent.contracts import EventKind, ModelIdentity, Result, Specimen, SpecimenField, Topics
from edge_agent.errors import SpecimenMissing, SpecimenOpen, SpoolFull
from edge_agent.events.recorder import EventRecorder
from edge_agent.specimens.tracker import STATE_KEY, SpecimenTracker
from edge_agent.spool import MemorySpool, Spool
from tests.results import any_result

TOPICS = Topics("clinic", "scope-1")
SLIDE = Specimen(id="S-7K3F-92QX", slide=2)


def tracker(spool: Spool, folder: Path, model: ModelIdentity) -> SpecimenTracker:
    events = EventRecorder(folder, spool, TOPICS, uuid4())
    return SpecimenTracker(spool, events, uuid4(), lambda: TOPICS, lambda: model)


def told(spool: Spool) -> Iterator[dict[str, object]]:
    while (message := spool.take(live=True)) is not None:
        yield json.loads(message.payload)


def read(slide: SpecimenTracker, result: Result) -> SpecimenField | None:
    places: list[SpecimenField | None] = []

    def make(place: SpecimenField | None) -> Result:
        places.append(place)
        return result.model_copy(update={"id": uuid4(), "specimen": place})

    slide.append(make)
    return places[0]


def test_readings_are_numbered_within_a_slide_and_reported_at_its_end(tmp_path: Path) -> None:
    result = any_result()
    slide = tracker(MemorySpool(2**20), tmp_path, result.model)
    assert read(slide, result) is None
    slide.set(SLIDE)
    with pytest.raises(SpecimenOpen):
        slide.set(SLIDE)
    places = [read(slide, result) for _ in range(3)]
    assert [place.field for place in places if place is not None] == [1, 2, 3]
    assert slide.finish().readings_count == 3
    with pytest.raises(SpecimenMissing):
        slide.finish()


def test_an_open_slide_goes_on_after_a_restart(tmp_path: Path) -> None:
    result, spool = any_result(), MemorySpool(2**20)
    slide = tracker(spool, tmp_path, result.model)
    slide.set(SLIDE)
    read(slide, result)
    again = tracker(spool, tmp_path, result.model)
    read(again, result)
    assert again.finish().readings_count == 2


def test_a_result_that_the_spool_refuses_does_not_count(tmp_path: Path) -> None:
    result, spool = any_result(), MemorySpool(len(any_result().to_json()) // 2)
    slide = tracker(spool, tmp_path, result.model)
    slide.set(SLIDE)
    _, refusal = slide.append(lambda place: result.model_copy(update={"specimen": place}))
    assert isinstance(refusal, SpoolFull)
    assert read(slide, result) == SpecimenField(id=SLIDE.id, slide=SLIDE.slide, field=1)


@pytest.mark.parametrize("entry", [b"\xff", b"", b"[]", b'{"specimen": 3}', b'{"future": true}'])
def test_a_slide_that_another_release_wrote_is_ignored_and_told(tmp_path: Path, entry: bytes) -> None:
    result, spool = any_result(), MemorySpool(2**20)
    spool.write_state_entries({STATE_KEY: entry})
    slide = tracker(spool, tmp_path, result.model)
    assert [event["kind"] for event in told(spool)] == [EventKind.STATE_IGNORED]
    assert read(slide, result) is None
    assert STATE_KEY not in spool.state_entries()


def test_ids_are_those_of_the_results(tmp_path: Path) -> None:
    result, spool = any_result(), MemorySpool(2**20)
    made, refusal = tracker(spool, tmp_path, result.model).append(lambda _place: result)
    message = spool.take(live=True)
    assert refusal is None
    assert message is not None
    assert message.id == made.id
    assert isinstance(made.id, UUID)
