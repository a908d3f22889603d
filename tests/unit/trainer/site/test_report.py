from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from edge_agent.contracts.head import HEAD_SCHEMA, ClassFigures, HeadFigures, HeadManifest, HeadParent, HeadTraining
from edge_agent.contracts.manifest import Baseline, ClassEvidence, Evidence, Thresholds
from tests.unit.trainer.site.site_data import make_examples, make_features, make_validation
from trainer.data.dataset import Unreadable
from trainer.site.card import head_card
from trainer.site.fine_tune import FineTuneComparison
from trainer.site.give_aways import GiveAway
from trainer.site.learning_curve import Advice, CurvePoint, LearningCurve
from trainer.site.mistakes import find_mistakes
from trainer.site.refusals import Refusals, own_refusals
from trainer.site.shifts import SiteShift
from trainer.site.summary import AdaptReport, Findings, summarise
from trainer.site.terminal import show_report

LABELS = np.arange(40) % 2
EARLY = np.where(LABELS == 1, 0.9, 0.1)
EARLY[3] = 0.2
VALIDATION = make_validation(np.stack([1 - EARLY, EARLY], axis=1))
EXAMPLES = replace(make_examples(LABELS), unreadable=(Unreadable("early/torn.jpg", "it is cut off"),))
WARNING = "The size of the image alone gives the label in 84 of 100 cases."
TOO_FEW = "Class 'early' has 12 images (at least 20 are needed)."


def make_manifest(*, size_right: int = 20) -> HeadManifest:
    interval = (0.868, 0.996)
    return HeadManifest(
        schema=HEAD_SCHEMA,
        name="north-clinic-1",
        version="1.0.0",
        created_at="2026-05-04T08:00:00Z",
        demonstration=False,
        parent=HeadParent(name="accurate", version="1.2.0", sha256="0" * 64),
        features="field-description@2",
        labels=EXAMPLES.label_set,
        temperature=1.0,
        thresholds=Thresholds(max_unfamiliarity_score=2.0, min_confidence_ratio=0.5),
        training=HeadTraining(
            dataset="north clinic",
            dataset_sha256="0" * 64,
            images_count=40,
            unreadable_count=1,
            specimens_count=None,
            groups_count=40,
            groups="near-duplicate-and-time",
            regularisation=1.0,
            seed=0,
            software="leukoscope",
            command="trainer adapt",
        ),
        evidence=Evidence(
            held_out="cross-validation",
            classes=tuple(
                ClassEvidence(
                    code=code,
                    training_images_count=0,
                    held_out_images_count=20,
                    held_out_right_count=right,
                    specimens_count=None,
                )
                for code, right in (("benign", 20), ("early", 19))
            ),
            permutation_ratio=0.001,
            permutations_count=1000,
            baselines=(Baseline(name="image size", right_count=size_right),),
        ),
        figures=HeadFigures(
            accuracy_ratio=0.975,
            accuracy_interval_ratio=interval,
            auroc_ratio=0.99,
            auroc_interval_ratio=(0.97, 1.0),
            calibration_error_ratio=0.031,
            calibration_error_interval_ratio=(0.01, 0.08),
            classes=tuple(
                ClassFigures(code=code, images_count=20, recall_ratio=recall, recall_interval_ratio=interval)
                for code, recall in (("benign", 1.0), ("early", 0.95))
            ),
            own_refused_ratio=0.0,
        ),
        appearance=None,
        min_agent_version="1.0.0",
        files={"head.npz": "0" * 64, "card.md": "0" * 64},
    )


def make_findings(*, warning: str | None = None, foreign: tuple[Refusals, ...] | None = None) -> Findings:
    advice = Advice(
        code="early",
        more_count=20,
        gain_ratio=0.02,
        gain_interval_ratio=(0.005, 0.024),
        accuracy_ratio=0.995,
        sentence="20 more of 'early' would bring about +2.0 points of accuracy (between +0.5 and +2.4).",
    )
    return Findings(
        learning_curve=LearningCurve(
            points=(CurvePoint(labels_count=32, accuracy_ratio=0.975, accuracy_interval_ratio=(0.9, 1)),),
            advice=(advice,),
        ),
        give_aways=(
            GiveAway(
                name="image size",
                accuracy_ratio=0.84,
                accuracy_interval_ratio=(0.7, 0.9),
                chance_ratio=0.5,
                chance_interval_ratio=(0.4, 0.6),
                gives_away=warning is not None,
                warning=warning,
            ),
        ),
        mistakes=find_mistakes(EXAMPLES, VALIDATION),
        contact_sheet="mistakes.png",
        shifts=(
            SiteShift(
                shift="darker",
                strength="x0.8",
                images_count=32,
                accuracy_ratio=0.9,
                accuracy_interval_ratio=(0.8, 0.95),
                refused_ratio=0.25,
                refusals={"unfamiliar": 8},
            ),
        ),
        own_refusals=own_refusals(EXAMPLES, make_features(40, reasons=("blurred", *(None,) * 39)), VALIDATION),
        foreign_refusals=foreign,
    )


def make_report(
    *, lacking: tuple[str, ...] = (), quick: bool = False, size_right: int = 20, findings: Findings | None = None
) -> AdaptReport:
    manifest = make_manifest(size_right=size_right)
    return summarise(manifest, EXAMPLES, findings or make_findings(), lacking, quick=quick)


def shown(report: AdaptReport) -> str:
    text = io.StringIO()
    show_report(report, Console(file=text, width=140, markup=False, emoji=False))
    return text.getvalue()


def card(report: AdaptReport, limits: str = "Hematogones stand for benign.") -> str:
    return head_card(report, limits=limits, demonstration=False)


def test_the_report_is_read_back_as_it_was_written() -> None:
    report = make_report(lacking=(TOO_FEW,))
    content = report.model_dump_json()
    assert json.loads(content)["schema"] == "leukoscope/adapt-report/v1"
    assert AdaptReport.model_validate_json(content) == report


def test_every_number_of_the_report_has_its_unit_in_its_name() -> None:
    units = ("_count", "_ratio", "_px")
    plain = {"number", "version", "schema"}
    # Objects keyed by reasons of refusals contain counts, as the description says.
    counted = {"reasons", "refusals"}

    def check(value: object, name: str) -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                if name not in counted:
                    check(each, key)
        elif isinstance(value, list):
            for each in value:
                check(each, name)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            assert name.endswith(units) or name in plain, name

    content = make_report().model_dump(mode="json")
    del content["evidence"], content["figures"]
    check(content, "report")


def test_skipped_files_are_counted_and_named() -> None:
    pictures = make_report().pictures
    assert (pictures.unreadable_count, pictures.unreadable[0].path) == (1, "early/torn.jpg")
    assert "early/torn.jpg" in shown(make_report())
    assert [(each.code, each.images_count) for each in pictures.classes] == [("benign", 20), ("early", 20)]


def test_a_provisional_head_says_so_and_why_and_what_helps_most() -> None:
    report = make_report(lacking=(TOO_FEW,))
    assert report.provisional
    assert any("20 more of 'early' would bring" in each for each in report.next_steps)
    for text in (shown(report), card(report)):
        assert "PROVISIONAL" in text.upper()
        assert TOO_FEW in text
        assert "PROVEN:" not in text


def test_a_proven_head_says_nothing_of_provisional() -> None:
    report = make_report()
    assert "PROVEN" in shown(report)
    assert "provisional" not in (shown(report) + card(report)).lower()
    assert not any(each.startswith("Label more") for each in report.next_steps)


def test_more_labels_are_not_advised_against_what_gives_the_label_away() -> None:
    beaten = (
        "Image size alone names 40 of the 40 held-out images rightly, the model 39: it may not be looking at cells."
    )
    report = make_report(lacking=(beaten,), size_right=40, findings=make_findings(warning=WARNING))
    assert report.next_steps[0].startswith("Remove what gives the labels away")
    assert not any(each.startswith("Label more") for each in report.next_steps)


def test_a_give_away_warns_in_the_terminal_and_on_the_card() -> None:
    report = make_report(findings=make_findings(warning=WARNING))
    assert f"WARNING: {WARNING}" in shown(report)
    assert f"**Warning.** {WARNING}" in card(report)
    assert "WARNING" not in shown(make_report()).upper()


def test_the_terminal_has_accuracy_and_recalls_with_their_intervals() -> None:
    text = shown(make_report())
    assert "97.5 %" in text
    assert "86.8 to 99.6 %" in text
    assert "95.0 %" in text
    assert "20 more of 'early' would bring about +2.0 points" in text
    assert "1 blurred" in text


def test_the_card_says_what_it_does_not_show() -> None:
    text = card(make_report())
    assert "One site and one device" in text
    assert "**the figures are probably too good**" in text
    assert "* Hematogones stand for benign." in text
    assert "Research use only" in text
    assert "no picture is in this folder" in text
    assert "It was not tried on pictures of other laboratories." in text


def test_limits_that_are_a_list_stay_a_list() -> None:
    assert "* * " not in card(make_report(), limits="* One laboratory.\n* One camera.")


def test_named_specimens_are_said_instead_of_the_doubt() -> None:
    groups = np.arange(40) // 5
    examples = make_examples(LABELS, groups=groups)
    examples = replace(
        examples,
        files=tuple(replace(each, group=f"s{group}") for each, group in zip(examples.files, groups, strict=True)),
    )
    report = summarise(make_manifest(), examples, make_findings(), ())
    assert report.pictures.specimens_count == 8
    assert "probably too good" not in card(report)
    assert "8 specimens" in card(report)
    assert not any("Name the specimen" in each for each in report.next_steps)


def test_a_quick_report_says_that_the_rest_was_not_measured() -> None:
    report = make_report(
        lacking=("There is no record of figures on held-out images.",), quick=True, findings=Findings()
    )
    assert report.next_steps[0].startswith("Run it again without --quick")
    assert card(report).count("was not measured") >= 3
    assert "Traceback" not in shown(report)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.001, 0.06, "use the bundle that was written beside the head"),
        (0.0, 0.06, "That is not certainly better, so use the head"),
        (-0.02, 0.06, "That is not certainly better, so use the head"),
        (-0.02, -0.01, "That is certainly worse, so use the head"),
    ],
)
def test_a_head_wins_against_trained_layers_unless_they_are_certainly_better(
    low: float, high: float, verdict: str
) -> None:
    tuned = FineTuneComparison(
        images_count=40,
        head_accuracy_ratio=0.95,
        fine_tuned_accuracy_ratio=0.975,
        gain_ratio=0.025,
        gain_interval_ratio=(low, high),
        folds_count=3,
    )
    report = make_report(findings=make_findings().model_copy(update={"fine_tuned": tuned}))
    for text in (shown(report), card(report)):
        assert "right in 97.5 % of 40 held-out pictures, the head in 95.0 %: +2.5 points" in " ".join(text.split())
        assert verdict in " ".join(text.split())


@pytest.mark.parametrize("text", ["a | b", "two\nlines"])
def test_a_meaning_cannot_break_the_table_of_the_card(text: str) -> None:
    report = make_report()
    labels = tuple(each.model_copy(update={"meaning": text}) for each in report.labels)
    lines = card(report.model_copy(update={"labels": labels})).splitlines()
    row = next(line for line in lines if line.startswith("| `early`"))
    assert row.replace("\\|", "").count("|") == 5


def test_own_pictures_that_would_be_refused_are_a_next_step() -> None:
    reasons = ("blurred",) * 10 + (None,) * 30
    refused = own_refusals(EXAMPLES, make_features(40, reasons=reasons), VALIDATION)
    findings = make_findings().model_copy(update={"own_refusals": refused})
    assert any(
        each.startswith("10 of your own 40 pictures would be refused")
        for each in make_report(findings=findings).next_steps
    )


def test_pictures_smaller_than_a_field_are_said_once_and_not_blamed_on_the_light() -> None:
    examples = replace(EXAMPLES, enlarged=np.ones(40, np.bool_))
    refused = own_refusals(examples, make_features(40, reasons=("field_too_small",) * 40), VALIDATION)
    findings = make_findings().model_copy(update={"own_refusals": refused})
    report = summarise(make_manifest(), examples, findings, ())
    assert [each for each in report.next_steps if "refuse" in each] == [
        "Replace 40 pictures smaller than a field: the device refuses such frames.",
        "Give pictures that it must refuse with --foreign, such as those of another stain.",
    ]
    assert "40 pictures smaller than a field: enlarged here, refused on the device." in shown(report)
