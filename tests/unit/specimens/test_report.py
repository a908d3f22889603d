"""A report says what was counted, out of how much, and how certain that is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from edge_agent.analysis.reading import Reading
from edge_agent.catalogue import catalogue, languages
from edge_agent.contracts import ModelIdentity, Report, Scale, ScaleSource, Specimen, Topics
from edge_agent.specimens.statement import FEW_COUNT, statement
from edge_agent.specimens.tally import Tally
from tests.slides import MODEL, failed, judged, refused, result_of, unsure

SLIDE = Specimen(id="S-7K3F-92QX", slide=2)


def report_of(readings: list[Reading], *, wished: int | None = None, repeats: int = 0) -> Report:
    tally = Tally(specimen=SLIDE, began_at=datetime.now(UTC), wished_fields_count=wished)
    for reading in readings:
        tally = tally.counting(result_of(reading, tally.next_field()), reading.labels)
    for _ in range(repeats):
        tally = tally.counting(result_of(judged(None), tally.next_field(repeats=1)))
    return tally.report(topics=Topics("clinic", "scope-1"), session=uuid4(), model=MODEL)


def test_the_distribution_has_every_label_with_share_and_interval() -> None:
    report = report_of([*[judged(None)] * 6, *[judged(None, label="benign")] * 2, unsure(None), failed()])
    shares = {each.label: (each.fields_count, each.ratio, each.malignant) for each in report.labels}
    assert shares == {"benign": (2, 0.25, False), "pre-b": (6, 0.75, True), "pro-b": (0, 0.0, True)}
    assert report.labels[1].name == "Pre-B ALL"
    assert report.malignant is not None
    # The result of scipy.stats.binomtest(6, 8).proportion_ci(method="wilson").
    assert (report.malignant.fields_count, report.malignant.ratio) == (6, 0.75)
    assert (report.malignant.low_ratio, report.malignant.high_ratio) == pytest.approx((0.40928, 0.92852), abs=1e-5)
    assert report.judged_count == 9
    assert (report.site, report.software) == ("clinic", report_of([]).software)


def test_nothing_classified_has_no_share() -> None:
    report = report_of([unsure(None), refused(None)])
    assert report.malignant is not None
    assert (report.malignant.ratio, report.malignant.low_ratio, report.malignant.high_ratio) == (None, None, None)
    assert {each.ratio for each in report.labels} == {None}
    assert report.statement is not None
    assert "%" not in report.statement


def test_all_models_are_named_and_the_last_scale() -> None:
    other = ModelIdentity(name="fast", version="2.0.0", sha256="b" * 64, preprocessing="rgb@1", runtime="none")
    scale = Scale(
        source=ScaleSource.CONFIGURED,
        um_per_pixel=0.1,
        estimated_um_per_pixel=None,
        estimated_um_per_pixel_low=None,
        estimated_um_per_pixel_high=None,
        red_cells_count=0,
        red_cell_diameter_px=None,
        disagrees=None,
    )
    report = report_of([replace(judged(None), scale=scale), replace(judged(None), model=other), judged(None)])
    assert report.models == (MODEL, other)
    assert (report.model, report.models_count) == (other, 2)
    assert report.scale is not None
    assert (report.scale.source, report.scale.um_per_pixel) == ("configured", 0.1)
    assert "2 models were used" in (report.statement or "")


def test_so_many_models_that_no_message_would_take_them_still_end_in_a_report() -> None:
    models = [MODEL.model_copy(update={"version": f"1.0.{number}"}) for number in range(300)]
    report = report_of([replace(judged(None), model=model) for model in models])
    assert len(report.to_json()) < 32 * 1024
    assert report.models_count == 300
    assert report.models[-1] == report.model == models[-1]


def test_the_statement_says_what_was_counted_of_how_many_and_how_sure() -> None:
    readings = [*[judged(None)] * 30, *[judged(None, label="benign")] * 10, unsure(None), refused(None), failed()]
    said = report_of(readings, wished=40, repeats=3).statement or ""
    assert said == (
        "41 fields of this slide were judged. Classified: 40. Abstained: 1. Not part of the figures are readings that "
        "were rejected (1), failed (1), or showed a field again that had been counted (3). Of 40 classified fields, "
        "30 (75.0 %; 95 % interval 59.8 to 85.8 %) got a label that the model counts as malignant. The most frequent "
        "label is Pre-B ALL, with 30 (75.0 %; 95 % interval 59.8 to 85.8 %). The interval says what chance in the "
        "choice of fields may do to the share; it does not cover errors of the model. Research use only: these are "
        "counts of fields by a program, not a finding about a person."
    )


@pytest.mark.parametrize(
    ("report", "said", "unsaid"),
    [
        (report_of([judged(None)] * FEW_COUNT), (), ("too few", "fewer than the")),
        (report_of([judged(None)] * (FEW_COUNT - 1)), ("too few to rely on",), ()),
        (report_of([judged(None)], wished=2), ("1 field of this slide", "fewer than the 2"), ()),
        (report_of([], wished=2), ("No field of this slide was judged.", "fewer than the 2"), ("Classified", "%")),
        (report_of([replace(judged(None), demonstration=True)]), ("a demonstration", "mean nothing"), ()),
        (report_of([replace(unsure(None), provisional=True)]), ("provisional", "withheld"), ("%",)),
    ],
)
def test_what_weakens_the_figures_is_said(report: Report, said: tuple[str, ...], unsaid: tuple[str, ...]) -> None:
    text = report.statement or ""
    assert [part for part in said if part not in text] == []
    assert [part for part in unsaid if part in text] == []


@pytest.mark.parametrize("language", languages())
def test_no_statement_calls_itself_a_diagnosis(language: str) -> None:
    report = report_of([*[judged(None)] * 3, unsure(None), failed()], wished=9, repeats=1)
    for given in (report, report.model_copy(update={"demonstration": True, "provisional": True})):
        said = statement(given, catalogue(language))
        assert "diagnos" not in said.lower()
        assert "{" not in said
