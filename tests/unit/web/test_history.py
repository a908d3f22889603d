"""The readings that the page can show."""

from __future__ import annotations

from uuid import UUID

from edge_agent.contracts import Direction, Measure, Result
from edge_agent.contracts.difference import TextureDifference
from edge_agent.contracts.specimen import SpecimenField
from edge_agent.web.history import Filter, History, ShownReading
from tests.results import any_result

DIFFERENCE = TextureDifference(
    measure=Measure.SHARPNESS,
    direction=Direction.BELOW,
    beyond_ratio=0.5,
    value_ratio=0.7,
    low_ratio=0.8,
    median_ratio=1.0,
    high_ratio=1.3,
)


def shown(result: Result) -> ShownReading:
    return ShownReading(result, None, ())


def numbered(seq: int) -> Result:
    place = SpecimenField(id="S-7K3F-92QX", slide=1 + seq % 2, field=seq + 1)
    label = "pre-b" if seq == 3 else None
    return any_result().model_copy(update={"seq": seq, "specimen": place, "label": label})


def ids(found: list[ShownReading]) -> list[UUID]:
    return [each.result.id for each in found]


def test_only_the_newest_are_kept() -> None:
    history = History(kept_count=3)
    results = [numbered(seq) for seq in range(5)]
    for result in results:
        history.add(shown(result))
    assert ids(history.select(Filter().fits, 10)) == [result.id for result in reversed(results[2:])]
    assert history.find(results[1].id) is None
    found = history.find(results[2].id)
    assert found is not None
    assert found.result.to_json() == results[2].to_json()
    latest = history.latest()
    assert latest is not None
    assert latest.result.to_json() == results[4].to_json()


def test_a_filter_leaves_what_fits_it_the_latest_first() -> None:
    history = History()
    results = [numbered(seq) for seq in range(6)]
    for result in results:
        history.add(shown(result))
    wanted = history.select(lambda result: result.seq % 2 == 0, 2)
    assert ids(wanted) == [results[4].id, results[2].id]


def test_lists_are_kept_but_not_for_each_line_of_the_list() -> None:
    history = History()
    result = any_result().model_copy(update={"differs": (DIFFERENCE,)})
    history.add(shown(result))
    [line] = history.select(Filter().fits, 10)
    assert (line.result.id, line.result.differs) == (result.id, ())
    found = history.find(result.id)
    assert found is not None
    assert found.result.differs == (DIFFERENCE,)


def test_each_part_of_a_filter_counts() -> None:
    result = numbered(3)
    assert Filter(outcome="failed", reason="image_unreadable", label="pre-b", specimen="S-7K3F-92QX", slide=2).fits(
        result
    )
    for other in (
        Filter(outcome="classified"),
        Filter(reason="blurred"),
        Filter(label="benign"),
        Filter(specimen="S-0000-0000"),
        Filter(slide=1),
    ):
        assert not other.fits(result)
    assert not Filter(specimen="S-7K3F-92QX").fits(any_result()), "a reading that belongs to no slide"
