"""``manifest.csv`` of an export: one row per picture. The trainer reads the first three columns."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.collection.answers import Answers
from edge_agent.collection.kept_frame import KeptFrame

COLUMNS = (
    "path",
    "label",
    "group",
    "item",
    "set",
    "labelled_by",
    "labelled_at",
    "opinions_count",
    "specimen",
    "slide",
    "field",
    "captured_at",
    "device",
    "model_outcome",
    "model_reason",
    "model_label",
    "model_confidence_ratio",
    "model_name",
    "model_version",
    "sha256",
)


def group_of(record: KeptFrame, *, any_specimen: bool) -> str:
    """The group that must stay in one part of a split: the specimen.

    A frame without a specimen may show any specimen of its session, so a session stays together. If no frame has a
    specimen there is no group at all: one session would be all there is.
    """
    if record.result.specimen is not None:
        return record.result.specimen.id
    return f"session-{record.result.session}" if any_specimen else ""


def row_of(
    path: str,
    record: KeptFrame,
    set_name: str,
    label: str | None,
    group: str,
    answers: Answers,
    *,
    with_model: bool,
) -> Sequence[str]:
    """The cells of a picture, in the order of ``COLUMNS``; empty where nothing is known.

    Without ``with_model`` the model's answers are left out.
    """
    result = record.result
    voters = [each for each in answers.opinions if each.label == label]
    specimen, decision = result.specimen, result.decision
    cells: dict[str, object | None] = {
        "path": path,
        "label": label,
        "group": group,
        "item": result.id,
        "set": set_name,
        "labelled_by": " ".join(sorted({each.by for each in voters})),
        "labelled_at": voters[-1].model_dump(mode="json")["at"] if voters else None,
        "opinions_count": len(answers.opinions),
        "specimen": None if specimen is None else specimen.id,
        "slide": None if specimen is None else specimen.slide,
        "field": None if specimen is None else specimen.field,
        "captured_at": result.model_dump(mode="json", include={"captured_at"})["captured_at"],
        "device": result.device,
        "model_outcome": result.outcome.value,
        "model_reason": None if result.reason is None else str(result.reason),
        "model_label": result.label,
        "model_confidence_ratio": None if decision is None else decision.confidence_ratio,
        "model_name": result.model.name,
        "model_version": result.model.version,
        "sha256": record.picture.sha256,
    }
    if not with_model:
        cells |= dict.fromkeys((name for name in COLUMNS if name.startswith("model_")), None)
    return [str(cells[name]) if cells[name] is not None else "" for name in COLUMNS]
