"""Everything that ``trainer adapt`` found out, as in ``report.json``."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field

from edge_agent.contracts import Reason
from edge_agent.contracts.head import HeadFigures, HeadManifest, HeadParent
from edge_agent.contracts.manifest import Evidence, Label
from edge_agent.inference.proof import counts
from edge_agent.settings import Settings
from trainer.site.examples import Examples
from trainer.site.fine_tune import FineTuneComparison
from trainer.site.give_aways import GiveAway
from trainer.site.learning_curve import LearningCurve
from trainer.site.mistakes import Mistake
from trainer.site.refusals import Refusals
from trainer.site.shifts import SiteShift
from trainer.site.wording import counted

REPORT_SCHEMA: Literal["leukoscope/adapt-report/v1"] = "leukoscope/adapt-report/v1"
REPORT_FILE, CONTACT_SHEET_FILE = "report.json", "mistakes.png"
MANY_REFUSED_RATIO = 0.1


class Skipped(Settings):
    """A file that could not be read."""

    path: str
    reason: str


class ClassCount(Settings):
    """How many pictures of a class there are."""

    code: str
    images_count: int


class Pictures(Settings):
    """What the head was fitted to."""

    dataset: str
    source: str
    sha256: str = Field(description="Of the sorted list of the pictures' own SHA-256.")
    images_count: int
    classes: tuple[ClassCount, ...]
    groups_count: int = Field(description="Groups of pictures that stayed on one side of every division.")
    grouping: Literal["specimen", "near-duplicate-and-time"] = Field(description="What makes a group.")
    grouped_images_count: int = Field(description="Pictures that share their group with another.")
    specimens_count: int | None = Field(description="Null unless every picture names its specimen.")
    enlarged_count: int = Field(description="Pictures smaller than a field. The device refuses such frames.")
    unreadable_count: int
    unreadable: tuple[Skipped, ...] = Field(description="Files that were skipped.")


class Findings(Settings):
    """What was measured beside the head's own figures; null or empty where it was not."""

    learning_curve: LearningCurve | None = None
    give_aways: tuple[GiveAway, ...] | None = None
    mistakes: tuple[Mistake, ...] = ()
    contact_sheet: str | None = Field(default=None, description="File of the report folder.")
    shifts: tuple[SiteShift, ...] | None = None
    own_refusals: Refusals | None = None
    foreign_refusals: tuple[Refusals, ...] | None = Field(default=None, description="Null if no other set was given.")
    fine_tuned: FineTuneComparison | None = Field(default=None, description="Null unless it was asked for.")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What gives the label away, in sentences."""
        return tuple(each.warning for each in self.give_aways or () if each.warning is not None)


class AdaptReport(Settings):
    """The whole ``report.json``."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    schema_: Literal["leukoscope/adapt-report/v1"] = Field(default=REPORT_SCHEMA, alias="schema")
    name: str
    version: str
    parent: HeadParent
    features: str
    labels: tuple[Label, ...]
    quick: bool = Field(description="Whether only the head and its accuracy were asked for.")
    provisional: bool = Field(description="Whether the record shows too little, so that the head gives no label.")
    lacking: tuple[str, ...] = Field(description="What the record lacks, each as a sentence.")
    pictures: Pictures
    figures: HeadFigures | None
    evidence: Evidence | None
    findings: Findings
    next_steps: tuple[str, ...] = Field(description="What to do next, the most useful first.")


def describe_pictures(examples: Examples) -> Pictures:
    """The pictures to which a head was fitted."""
    _, sizes = np.unique(examples.groups, return_counts=True)
    counts = examples.class_counts.tolist()
    return Pictures(
        dataset=examples.description.name,
        source=examples.description.source,
        sha256=examples.sha256,
        images_count=len(examples.files),
        classes=tuple(
            ClassCount(code=code, images_count=count) for code, count in zip(examples.codes, counts, strict=True)
        ),
        groups_count=examples.groups_count,
        grouping=examples.grouping,
        grouped_images_count=int(sizes[sizes > 1].sum()),
        specimens_count=examples.specimens_count,
        enlarged_count=int(examples.enlarged.sum()),
        unreadable_count=len(examples.unreadable),
        unreadable=tuple(Skipped(path=each.path, reason=each.reason) for each in examples.unreadable),
    )


def summarise(
    manifest: HeadManifest, examples: Examples, findings: Findings, lacking: tuple[str, ...], *, quick: bool = False
) -> AdaptReport:
    """The report of a head that was fitted to ``examples``. ``lacking`` lists in sentences what its record lacks."""
    pictures = describe_pictures(examples)
    return AdaptReport(
        name=manifest.name,
        version=manifest.version,
        parent=manifest.parent,
        features=manifest.features,
        labels=manifest.labels,
        quick=quick,
        provisional=bool(lacking),
        lacking=lacking,
        pictures=pictures,
        figures=manifest.figures,
        evidence=manifest.evidence,
        findings=findings,
        next_steps=tuple(
            _next_steps(pictures, findings, needs_more=len(lacking) > _beaten_by(manifest.evidence), quick=quick)
        ),
    )


def _beaten_by(evidence: Evidence | None) -> int:
    """The number of baselines that name at least as many pictures rightly; more labels do not help against them."""
    if evidence is None:
        return 0
    right, _ = counts(evidence)
    return sum(each.right_count >= right for each in evidence.baselines)


def _next_steps(pictures: Pictures, findings: Findings, *, needs_more: bool, quick: bool) -> list[str]:
    steps = []
    if quick:
        steps.append("Run it again without --quick: only the full report can prove a head.")
    if findings.warnings:
        steps.append("Remove what gives the labels away (the warnings above) before you trust any figure here.")
    if findings.mistakes:
        where = f" in {findings.contact_sheet}" if findings.contact_sheet else ""
        steps.append(
            f"Look again at {counted(len(findings.mistakes), 'picture')} that the head names otherwise than you "
            f"did{where}. Correct what is labelled wrongly, and run it again."
        )
    if needs_more and not quick:
        steps.append(f"Label more pictures.{_best_advice(findings)}")
    if pictures.specimens_count is None:
        steps.append(
            "Name the specimen of every picture. Without it, pictures of one person may be on both sides of a "
            "division, and the figures come out too good."
        )
    if pictures.enlarged_count:
        steps.append(
            f"Replace {counted(pictures.enlarged_count, 'picture')} smaller than a field: the device refuses such "
            "frames."
        )
    own = findings.own_refusals
    # Pictures that are too small have their own step.
    refused = 0 if own is None else own.refused_count - own.reasons.get(Reason.FIELD_TOO_SMALL.value, 0)
    if refused > MANY_REFUSED_RATIO * pictures.images_count:
        steps.append(
            f"{refused} of your own {counted(pictures.images_count, 'picture')} would be refused. See why, and check "
            "light and focus."
        )
    if pictures.unreadable_count:
        steps.append(f"Check {counted(pictures.unreadable_count, 'file')} that could not be read.")
    if findings.foreign_refusals is None and not quick:
        steps.append("Give pictures that it must refuse with --foreign, such as those of another stain.")
    return steps


def _best_advice(findings: Findings) -> str:
    curve = findings.learning_curve
    known = [each for each in (curve.advice if curve else ()) if each.code is not None and each.gain_ratio is not None]
    return f" {known[0].sentence}" if known else ""
