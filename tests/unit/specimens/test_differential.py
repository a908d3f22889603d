"""The cells of a slide, by their types."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.analysis.reading import Reading
from edge_agent.catalogue import catalogue, languages
from edge_agent.contracts import Differential, Outcome, Report, Specimen, Topics
from edge_agent.events.recorder import EventRecorder
from edge_agent.specimens.statement import FEW_CELLS_COUNT, statement
from edge_agent.specimens.tally import Tally
from edge_agent.specimens.tracker import SpecimenTracker
from edge_agent.spool import MemorySpool
from tests.slides import CELLS_MODEL, MODEL, TYPES, differential, judged, refused, result_of, unsure

Fields = list[tuple[Reading, Differential | None]]


def tally_of(fields: Fields) -> Tally:
    tally = Tally(specimen=Specimen(id="S-7K3F-92QX", slide=2), began_at=datetime.now(UTC))
    for reading, cells in fields:
        tally = counted(tally, reading, cells)
    return tally


def counted(tally: Tally, reading: Reading, cells: Differential | None, *, repeats: int | None = None) -> Tally:
    result = result_of(reading, tally.next_field(repeats=repeats)).model_copy(update={"differential": cells})
    return tally.counting(result, reading.labels, TYPES)


def report_of(tally: Tally) -> Report:
    return tally.report(topics=Topics("clinic", "scope-1"), session=uuid4(), model=MODEL)


def test_a_report_has_every_type_with_its_share_of_the_judged_cells_and_interval() -> None:
    first, second = differential(blast=5, lymphocyte=1, refused=2), differential(blast=1, lymphocyte=1, unseen=3)
    found = report_of(tally_of([(judged(None), first), (unsure(None), second)])).differential
    assert found is not None
    assert (found.fields_count, found.cells_count, found.judged_count, found.refused_count) == (2, 13, 8, 2)
    shares = {each.type: (each.name, each.malignant, each.cells_count, each.ratio) for each in found.types}
    assert shares == {
        "blast": ("Blast", True, 6, 0.75),
        "lymphocyte": ("Lymphocyte", False, 2, 0.25),
        "smudge": ("Smudge or other", False, 0, 0.0),
    }
    # The result of scipy.stats.binomtest(6, 8).proportion_ci(method="wilson").
    assert (found.blasts.cells_count, found.blasts.ratio) == (6, 0.75)
    assert (found.blasts.low_ratio, found.blasts.high_ratio) == pytest.approx((0.40928, 0.92852), abs=1e-5)
    assert (found.models, found.models_count) == ((CELLS_MODEL,), 1)


def test_the_cells_of_a_field_count_once_and_only_if_the_field_was_judged() -> None:
    once = tally_of([(judged(None), differential(blast=2))])
    again = counted(once, judged(None), differential(blast=2), repeats=1)
    rejected = counted(again, refused(None), differential(blast=2))
    assert rejected.cells == once.cells


def test_a_slide_of_a_field_bundle_has_no_differential() -> None:
    report = report_of(tally_of([(judged(None), None)]))
    assert report.differential is None
    assert "cells" not in (report.statement or "")


def test_a_slide_that_an_older_release_began_goes_on_with_cells() -> None:
    entry = json.loads(tally_of([(judged(None), None)]).to_json())
    del entry["cells"]
    tally = counted(Tally.restore(json.dumps(entry).encode()), judged(None), differential(blast=1))
    assert tally.judged_count == 2
    assert tally.cells is not None
    assert (tally.cells.fields_count, tally.cells.blasts_count) == (1, 1)
    assert Tally.restore(tally.to_json()) == tally


def test_what_a_tracked_slide_counts_survives_a_restart_with_the_names_of_its_types(tmp_path: Path) -> None:
    spool, topics = MemorySpool(2**20), Topics("clinic", "scope-1")

    def tracker() -> SpecimenTracker:
        events = EventRecorder(tmp_path, spool, topics, uuid4())
        return SpecimenTracker(spool, events, uuid4(), lambda: topics, lambda: MODEL)

    slide = tracker()
    slide.set(Specimen(id="S-7K3F-92QX", slide=2))
    reading = replace(judged(None), differential=differential(blast=2, refused=1), cell_labels=TYPES)
    slide.append(reading, lambda place: result_of(reading, place))
    found = tracker().finish().differential
    assert found is not None
    assert (found.judged_count, found.refused_count) == (2, 1)
    assert [each.name for each in found.types] == [each.display_name for each in TYPES]


def test_cells_that_all_were_refused_have_no_share() -> None:
    report = report_of(tally_of([(unsure(None), differential(refused=3))]))
    assert report.differential is not None
    assert report.differential.blasts.ratio is None
    assert {each.ratio for each in report.differential.types} == {None}
    assert "0 were judged one by one and 3 were refused." in (report.statement or "")
    assert "%" not in (report.statement or "")


def test_the_statement_says_what_the_cells_are_and_how_sure_that_is() -> None:
    said = report_of(tally_of([(judged(None), differential(blast=60, lymphocyte=40, refused=4, unseen=1))])).statement
    assert said is not None
    assert (
        "In 1 field, 105 nucleated cells were found; 100 were judged one by one and 4 were refused. Of 100 judged "
        "cells, 60 (60.0 %; 95 % interval 50.2 to 69.1 %) got a type that the model counts as malignant. The most "
        "frequent type is Blast, with 60 (60.0 %; 95 % interval 50.2 to 69.1 %). The interval says what chance in the "
        "choice of cells may do to the share; it covers neither errors of the model nor that cells of one field "
        "resemble each other. Research use only"
    ) in said


OTHER = CELLS_MODEL.model_copy(update={"sha256": "d" * 64})


@pytest.mark.parametrize(
    ("cells", "part"),
    [
        (differential(blast=FEW_CELLS_COUNT - 1), "too few for a differential"),
        (differential(refused=1, provisional=True), "The model of the cells is provisional"),
        (differential(blast=1, model=OTHER), "2 models judged cells"),
    ],
    ids=["few", "provisional", "models"],
)
def test_what_weakens_the_counts_of_cells_is_said(cells: Differential, part: str) -> None:
    enough = differential(blast=FEW_CELLS_COUNT)
    strong = tally_of([(judged(None), enough)])
    assert part not in (report_of(strong).statement or "")
    weak = tally_of([(judged(None), cells)]) if cells.model == CELLS_MODEL else counted(strong, judged(None), cells)
    assert part in (report_of(weak).statement or "")


@pytest.mark.parametrize("language", languages())
def test_no_words_about_cells_are_missing_in_a_language(language: str) -> None:
    cells = differential(blast=1, lymphocyte=2, refused=1, provisional=True)
    report = report_of(tally_of([(judged(None), cells), (judged(None), differential(blast=1, model=OTHER))]))
    said = statement(report, catalogue(language))
    assert "{" not in said
    assert "diagnos" not in said.lower()


_FIELDS = st.lists(
    st.tuples(
        st.sampled_from([Outcome.CLASSIFIED, Outcome.ABSTAINED, Outcome.REJECTED]),
        st.builds(differential, blast=st.integers(0, 9), lymphocyte=st.integers(0, 9), refused=st.integers(0, 9)),
    ),
    max_size=6,
)


@given(_FIELDS)
def test_the_counts_of_the_cells_add_up_whatever_was_read(fields: list[tuple[Outcome, Differential]]) -> None:
    made = {Outcome.CLASSIFIED: judged(None), Outcome.ABSTAINED: unsure(None), Outcome.REJECTED: refused(None)}
    found = report_of(tally_of([(made[outcome], cells) for outcome, cells in fields])).differential
    right = [cells for outcome, cells in fields if outcome is not Outcome.REJECTED]
    if found is None:
        assert not right
        return
    assert found.judged_count == sum(each.cells_count for each in found.types)
    assert found.judged_count == sum(each.judged_count for each in right)
    assert found.blasts.cells_count == sum(each.cells_count for each in found.types if each.malignant)
    for each in (*found.types, found.blasts):
        if each.ratio is not None:
            assert each.low_ratio is not None
            assert each.high_ratio is not None
            assert 0 <= each.low_ratio <= each.ratio <= each.high_ratio <= 1
