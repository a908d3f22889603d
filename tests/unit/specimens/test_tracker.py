from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from edge_agent.analysis.reading import Reading
from edge_agent.contracts import EventKind, ModelIdentity, OpenSpecimen, Result, Specimen, SpecimenField, Topics
from edge_agent.errors import SpecimenMissing, SpecimenOpen, SpoolFull
from edge_agent.events.recorder import EventRecorder
from edge_agent.specimens import repeats
from edge_agent.specimens.archive import PREFIX
from edge_agent.specimens.open_slide import open_slide_message
from edge_agent.specimens.tracker import FIELD_PREFIX, STATE_KEY, SpecimenTracker
from edge_agent.spool import MemorySpool, Spool, SpoolLimits, SqliteSpool
from tests.results import any_result
from tests.slides import MODEL, draw_slide, failed, judged, look_at, refused, result_of, unsure

TOPICS = Topics("clinic", "scope-1")
SLIDE = Specimen(id="S-7K3F-92QX", slide=2)


def tracker(spool: Spool, folder: Path, model: ModelIdentity) -> SpecimenTracker:
    events = EventRecorder(folder, spool, TOPICS, uuid4())
    return SpecimenTracker(spool, events, uuid4(), lambda: TOPICS, lambda: model)


def test_whoever_shows_the_slide_is_told_of_each_change(tmp_path: Path) -> None:
    result, spool = any_result(), MemorySpool(2**20)
    changes: list[OpenSpecimen] = []
    events = EventRecorder(tmp_path, spool, TOPICS, uuid4())
    session = uuid4()
    slide = SpecimenTracker(
        spool,
        events,
        session,
        lambda: TOPICS,
        lambda: result.model,
        on_change=lambda tally: changes.append(open_slide_message(tally, topics=TOPICS, session=session)),
    )
    read(slide, result)
    assert changes == []
    slide.set(SLIDE, 5)
    read(slide, result)
    report = slide.finish()
    begun, grown, finished = changes
    assert (begun.specimen, begun.wished_fields_count, begun.readings_count) == (SLIDE, 5, 0)
    assert grown.began_at == begun.began_at == report.began_at
    assert (grown.readings_count, grown.outcomes_count) == (report.readings_count, report.outcomes_count)
    assert (grown.reasons_count, grown.demonstration) == ({"image_unreadable": 1}, True)
    assert (finished.specimen, finished.began_at, finished.readings_count) == (None, None, 0)
    assert (finished.site, finished.device) == ("clinic", "scope-1")


def told(spool: Spool) -> Iterator[dict[str, object]]:
    while (message := spool.take(live=True)) is not None:
        yield json.loads(message.payload)


def read(slide: SpecimenTracker, result: Result) -> SpecimenField | None:
    places: list[SpecimenField | None] = []

    def make(place: SpecimenField | None) -> Result:
        places.append(place)
        return result.model_copy(update={"id": uuid4(), "specimen": place})

    slide.append(failed(), make)
    return places[0]


def count(slide: SpecimenTracker, reading: Reading) -> SpecimenField:
    """Count a reading of the open slide."""
    result, refusal = slide.append(reading, lambda place: result_of(reading, place))
    assert refusal is None
    assert result.specimen is not None
    return result.specimen


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
    _, refusal = slide.append(failed(), lambda place: result.model_copy(update={"specimen": place}))
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
    made, refusal = tracker(spool, tmp_path, result.model).append(failed(), lambda _place: result)
    message = spool.take(live=True)
    assert refusal is None
    assert message is not None
    assert message.id == made.id
    assert isinstance(made.id, UUID)


def test_a_field_counts_once_though_it_is_read_again_and_a_little_beside(tmp_path: Path) -> None:
    spool = MemorySpool(2**24)
    slide = tracker(spool, tmp_path, MODEL)
    slide.set(SLIDE, 40)
    first, second = draw_slide(1), draw_slide(2)
    places = [
        count(slide, judged(look_at(first))),
        count(slide, judged(look_at(second))),
        count(slide, judged(look_at(first, 40, 30, seed=1), label="benign")),
        count(slide, unsure(look_at(second, 0, 25, seed=2))),
    ]
    assert [(place.field, place.repeats_field) for place in places] == [(1, None), (2, None), (3, 1), (4, 2)]
    # All of them are published.
    assert [each["specimen"] for each in told(spool) if "specimen" in each and "outcome" in each] == [
        place.model_dump() for place in places
    ]
    tally = slide.open_slide
    assert tally is not None
    assert (tally.readings_count, tally.judged_count, tally.repeated_count) == (4, 2, 2)
    assert (tally.outcomes_count, tally.labels_count) == ({"classified": 2}, {"pre-b": 2})
    report = slide.finish()
    assert (report.wished_fields_count, report.judged_count, report.repeated_count) == (40, 2, 2)
    assert sum(report.outcomes_count.values()) + report.repeated_count == report.readings_count


def test_a_field_that_was_refused_counts_once_it_is_fit_to_be_judged(tmp_path: Path) -> None:
    slide = tracker(MemorySpool(2**24), tmp_path, MODEL)
    slide.set(SLIDE)
    field = look_at(draw_slide(1))
    readings = [refused(field), failed(), judged(field), judged(field)]
    assert [count(slide, reading).repeats_field for reading in readings] == [None, None, None, 3]
    # A blurred view of a counted field is a refused reading, not a field.
    assert count(slide, refused(field)).repeats_field is None
    report = slide.finish()
    assert report.outcomes_count == {"rejected": 2, "failed": 1, "classified": 1}


def test_counted_fields_are_known_after_a_restart_and_forgotten_with_their_slide(tmp_path: Path) -> None:
    spool = MemorySpool(2**24)
    slide = tracker(spool, tmp_path, MODEL)
    slide.set(SLIDE)
    fields = [look_at(draw_slide(seed)) for seed in (1, 2)]
    for field in fields:
        count(slide, judged(field))
    again = tracker(spool, tmp_path, MODEL)
    assert [count(again, judged(field)).repeats_field for field in fields] == [1, 2]
    assert len(spool.state_entries(FIELD_PREFIX)) == 2
    report = again.finish()
    # The message and the kept copy are written together, and nothing else of the slide is left.
    assert list(spool.state_entries()) == [f"{PREFIX}{report.id}"]
    again.set(SLIDE)
    assert count(again, judged(fields[0])).repeats_field is None


def test_no_more_fields_are_kept_than_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "KEPT_COUNT", 2)
    spool = MemorySpool(2**24)
    slide = tracker(spool, tmp_path, MODEL)
    slide.set(SLIDE)
    for seed in range(4):
        count(slide, judged(look_at(draw_slide(seed))))
    assert [key.rpartition("/")[2] for key in spool.state_entries(FIELD_PREFIX)] == ["3", "4"]
    again = tracker(spool, tmp_path, MODEL)
    assert count(again, judged(look_at(draw_slide(3)))).repeats_field == 4
    assert count(again, judged(look_at(draw_slide(0)))).repeats_field is None


def test_a_field_whose_result_the_spool_refused_is_new_the_next_time(tmp_path: Path) -> None:
    spool = MemorySpool(2**24)
    slide = tracker(spool, tmp_path, MODEL)
    slide.set(SLIDE)
    reading = judged(look_at(draw_slide(1)))
    with pytest.MonkeyPatch.context() as full:
        full.setattr(spool, "append", _refuse)
        _, refusal = slide.append(reading, lambda place: result_of(reading, place))
    assert isinstance(refusal, SpoolFull)
    assert spool.state_entries(FIELD_PREFIX) == {}
    assert count(slide, reading) == SpecimenField(id=SLIDE.id, slide=SLIDE.slide, field=1)


def _refuse(*_arguments: object) -> None:
    raise SpoolFull("There is no room.")


def test_a_report_that_the_spool_refused_leaves_the_slide_open(tmp_path: Path) -> None:
    spool = MemorySpool(2**24)
    slide = tracker(spool, tmp_path, MODEL)
    slide.set(SLIDE)
    count(slide, judged(look_at(draw_slide(1))))
    with pytest.MonkeyPatch.context() as full:
        full.setattr(spool, "append", _refuse)
        with pytest.raises(SpoolFull):
            slide.finish()
    assert slide.archive.reports() == []
    assert slide.finish().readings_count == 1
    assert len(slide.archive.reports()) == 1


def test_fields_of_another_slide_are_not_compared_with(tmp_path: Path) -> None:
    """A release that knows nothing of them may have finished the slide, and begun another."""
    spool = MemorySpool(2**24)
    slide = tracker(spool, tmp_path, MODEL)
    slide.set(SLIDE)
    field = look_at(draw_slide(1))
    count(slide, judged(field))
    older = {"specimen": {"id": "S-7K3F-92QY", "slide": 1}, "began_at": "2026-11-01T10:00:00.000Z"}
    spool.write_state_entries({STATE_KEY: json.dumps(older).encode()})
    again = tracker(spool, tmp_path, MODEL)
    assert spool.state_entries(FIELD_PREFIX) == {}
    assert count(again, judged(field)).repeats_field is None


def test_a_damaged_field_costs_only_itself(tmp_path: Path) -> None:
    spool = MemorySpool(2**24)
    slide = tracker(spool, tmp_path, MODEL)
    slide.set(SLIDE)
    fields = [look_at(draw_slide(seed)) for seed in (1, 2)]
    for field in fields:
        count(slide, judged(field))
    spool.write_state_entries({next(iter(spool.state_entries(FIELD_PREFIX))): b"short"})
    again = tracker(spool, tmp_path, MODEL)
    assert [event["kind"] for event in told(spool) if "kind" in event].count(EventKind.STATE_IGNORED) == 1
    assert [count(again, judged(field)).repeats_field for field in fields] == [None, 2]


def test_an_open_slide_of_an_older_release_goes_on(tmp_path: Path) -> None:
    spool = MemorySpool(2**24)
    older = {
        "specimen": {"id": "S-7K3F-92QX", "slide": 2},
        "began_at": "2026-11-01T10:00:00.000Z",
        "readings_count": 9,
        "outcomes_count": {"classified": 5, "abstained": 2, "rejected": 2},
        "reasons_count": {"blurred": 2, "unfamiliar": 2},
        "labels_count": {"pre-b": 5},
        "malignant_count": 5,
        "models": [MODEL.model_dump()],
        "demonstration": False,
        "provisional": False,
    }
    spool.write_state_entries({STATE_KEY: json.dumps(older).encode()})
    slide = tracker(spool, tmp_path, MODEL)
    tally = slide.open_slide
    assert tally is not None
    assert tally.judged_count == 7
    report = slide.finish()
    assert [(each.label, each.fields_count, each.malignant) for each in report.labels] == [("pre-b", 5, None)]
    assert report.malignant is not None
    assert report.malignant.ratio == 1


@pytest.mark.parametrize("durable", [False, True])
def test_a_report_its_copy_and_the_end_of_its_slide_are_durable_together_or_not_at_all(
    tmp_path: Path, durable: bool
) -> None:
    def start(delay_s: float) -> tuple[SqliteSpool, SpecimenTracker]:
        spool = SqliteSpool(tmp_path, SpoolLimits(max_bytes=2**24, max_age_s=3600, commit_delay_s=delay_s))
        return spool, tracker(spool, tmp_path, MODEL)

    spool, slide = start(0)
    slide.set(SLIDE)
    count(slide, judged(look_at(draw_slide(1))))
    assert spool.flush(10)
    spool.close()
    # Nothing is committed within this time unless requested.
    spool, slide = start(3600)
    report = slide.finish()
    if durable:
        assert spool.flush(10)
    spool.abandon()
    spool.close()
    spool, slide = start(0)
    sent = [message.topic for message in iter(lambda: spool.take(live=False), None)]
    assert (TOPICS.report in sent) is durable
    assert [each.id for each in slide.archive.reports()] == ([report.id] if durable else [])
    assert (slide.open_slide is None) is durable
    assert len(spool.state_entries(FIELD_PREFIX)) == (0 if durable else 1)
    spool.close()
