"""The bundle's ``data.md``: the training images, how they were split, and which shortcuts they have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from edge_agent.contracts.manifest import TrainingField
from trainer.data.split import Assignment, Part, near_duplicates_count
from trainer.errors import DataError
from trainer.evaluation.audit import Audit
from trainer.reports.markdown import interval, percent, table
from trainer.training.run import RunConfig


def check_audit(audit: Audit | None, config: RunConfig) -> None:
    """Raise ``DataError`` if the audit is not of the run's images."""
    if audit is not None and audit.dataset_sha256 != config.dataset_sha256:
        raise DataError(
            "the audit was made from other images than the run.",
            remedy="Run 'trainer audit' on the data that the run was trained on.",
        )


def describe_field(field: TrainingField | None) -> str:
    """Describe in words which part of a camera's picture the images show."""
    if field is None:
        return "the centre square of the picture"
    aspect = f"{field.aspect_width}:{field.aspect_height}"
    part = "the whole picture, stretched" if field.fit == "stretch" else "the centre square of the picture, scaled"
    chroma = "; stored as JPEG with colour at half the resolution" if field.chroma == "half" else ""
    return f"{part} to the input's size from {aspect}{chroma}"


def render_data_card(config: RunConfig, assignments: Sequence[Assignment], audit: Audit | None) -> str:
    """The card as Markdown."""
    dataset = config.dataset
    counts = Counter((each.file.label, each.part) for each in assignments)
    groups = {each.file.group for each in assignments} - {None}
    scale = "unknown" if dataset.um_per_pixel is None else f"{dataset.um_per_pixel:g} µm per pixel"
    parts = table(
        ("class", *Part, "all"),
        *(
            (
                f"`{code}`",
                *(str(counts[code, part]) for part in Part),
                str(sum(counts[code, part] for part in Part)),
            )
            for code in dataset.codes
        ),
    )
    classes = table(
        ("code", "folder", "malignant", "meaning"),
        *((f"`{each.code}`", each.folder, "yes" if each.malignant else "no", each.meaning) for each in dataset.classes),
    )
    return f"""\
# Data: {dataset.name}

{dataset.source}.

* Licence: {dataset.licence}.
* {config.images_count} images; hash of the images' hashes `{config.dataset_sha256}`.
* Field: {describe_field(dataset.field)}.
* Physical scale at 224 px: {scale} ({dataset.um_per_pixel_source}).

## Classes

{classes}

## Split

{parts}

* {near_duplicates_count(assignments)} images have a near-duplicate: the same field again, whole or shifted. \
Near-duplicates are in one part.
* {_groups(len(groups))}

## Shortcuts: what predicts the label without a cell

{describe_audit(audit)}

## Limits

{dataset.limits}
"""


def _groups(count: int) -> str:
    if count:
        return f"{count} groups (subjects or slides) are known; none is in more than one part."
    return (
        "**No groups are known**: nothing says which images show the same person, so training and test may share "
        "persons, and the figures on the test images do not apply to other persons."
    )


def describe_audit(audit: Audit | None) -> str:
    """The measurements of shortcuts, as Markdown."""
    if audit is None:
        return "This was not measured."
    shortcuts = table(
        ("shortcut", "accuracy", "interval", "predicts the label"),
        *(
            (
                shortcut.name,
                percent(shortcut.accuracy_ratio),
                interval(shortcut.accuracy_interval_ratio),
                "yes" if shortcut.reveals_label else "no",
            )
            for shortcut in audit.shortcuts
        ),
        ("none: always the commonest class", percent(audit.chance_ratio), "", ""),
    )
    leaks = "" if audit.leaks is None else f"\n\nNear-duplicates or groups across the split: {len(audit.leaks)}."
    return f"{shortcuts}{leaks}"
