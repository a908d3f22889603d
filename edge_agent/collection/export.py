"""Writes labelled frames as a data set for the trainer: class folders, ``manifest.csv`` and ``dataset.toml``."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import tomlkit

from edge_agent import __version__
from edge_agent.collection.answers import AnswerBook, Standing
from edge_agent.collection.export_target import Write
from edge_agent.collection.kept_frame import FrameSummary, KeptFrame
from edge_agent.collection.label_file import FILE as LABELS
from edge_agent.collection.manifest import COLUMNS, group_of, row_of
from edge_agent.collection.review import label_of, standing
from edge_agent.collection.settings import LabelChoice, LabelSet
from edge_agent.collection.store import FrameStore
from edge_agent.errors import CollectionEmpty, CollectionError

MANIFEST, DATASET, README = "manifest.csv", "dataset.toml", "README.md"
UNLABELLED_FOLDER = "unlabelled"


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of the frames, for the export's own description."""

    site: str
    device: str
    consent: str


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """Counts of an export, and of the frames left out of it."""

    counts: dict[str, int]
    """Number of pictures by label; in an export for labelling, ``unlabelled`` alone."""
    damaged: tuple[UUID, ...]
    """Frames that could not be read or have changed since they were kept."""
    left_out_count: int
    """Frames that are not usable, or whose label does not count yet."""
    has_specimens: bool
    """Whether any frame names its specimen, so that splits can keep specimens apart."""

    @property
    def pictures_count(self) -> int:
        """Number of pictures."""
        return sum(self.counts.values())


def export_labelled(
    store: FrameStore, book: AnswerBook, label_set: LabelSet, origin: Origin, write: Write
) -> ExportSummary:
    """Write all frames with a label that counts. One picture at a time is in memory.

    Raises ``CollectionEmpty`` if there is none.
    """
    frames = store.frames()
    labels = {each.id: label_of(each, label_set, book) for each in frames}
    chosen = [each for each in frames if labels[each.id] in label_set.codes]
    if not chosen:
        raise CollectionEmpty(f"No frame has a label of the set '{label_set.name}'.")
    return _export(store, book, label_set, origin, write, [(each, labels[each.id]) for each in chosen])


def export_unlabelled(
    store: FrameStore, book: AnswerBook, label_set: LabelSet, origin: Origin, write: Write
) -> ExportSummary:
    """Write the frames that nobody has labelled, to be labelled elsewhere in the column ``label`` of the manifest.

    Raises ``CollectionEmpty`` if there is none.
    """
    chosen = [each for each in store.frames() if standing(each, label_set, book) is Standing.UNLABELLED]
    if not chosen:
        raise CollectionEmpty(f"Every frame has a label of the set '{label_set.name}'.", remedy="Export those.")
    return _export(store, book, label_set, origin, write, [(each, None) for each in chosen])


def _export(
    store: FrameStore,
    book: AnswerBook,
    label_set: LabelSet,
    origin: Origin,
    write: Write,
    chosen: Sequence[tuple[FrameSummary, str | None]],
) -> ExportSummary:
    any_specimen = any(frame.result.specimen is not None for frame, _ in chosen)
    counts: Counter[str] = Counter()
    damaged: list[UUID] = []
    synthetic = False
    entries = io.BytesIO()
    manifest = io.StringIO(newline="")
    rows = csv.writer(manifest)
    rows.writerow(COLUMNS)
    for frame, label in chosen:
        found = _read(store, frame)
        if found is None:
            damaged.append(frame.id)
            continue
        record, picture = found
        folder = label or UNLABELLED_FOLDER
        path = f"{folder}/{frame.id}.jpg"
        write(path, picture)
        counts[folder] += 1
        synthetic = synthetic or record.synthetic
        answers = book.answers(label_set.name, frame.id)
        group = group_of(record, any_specimen=any_specimen)
        # Blind: a person who labels the frame must not see the model's answer.
        row = row_of(path, record, label_set.name, label, group, answers, with_model=label is not None)
        rows.writerow(row)
        entries.writelines(each.to_json() + b"\n" for each in answers.entries)
    if not counts:
        raise CollectionEmpty("None of the frames can be read.", remedy=CollectionError.remedy)
    summary = ExportSummary(dict(counts), tuple(damaged), len(store.frames()) - len(chosen), any_specimen)
    write(MANIFEST, manifest.getvalue().encode())
    is_labelled = UNLABELLED_FOLDER not in counts
    if is_labelled:
        write(LABELS, entries.getvalue())
        write(DATASET, describe_dataset(label_set, origin, summary, synthetic=synthetic).encode())
    write(README, _readme(label_set, origin, summary, is_labelled=is_labelled).encode())
    return summary


def _read(store: FrameStore, frame: FrameSummary) -> tuple[KeptFrame, bytes] | None:
    """Record and picture; None if they cannot be read or have changed since they were kept."""
    try:
        record, picture = store.record(frame.id), store.picture(frame.id)
    except CollectionError:
        return None
    return (record, picture) if hashlib.sha256(picture).hexdigest() == record.picture.sha256 else None


def describe_dataset(label_set: LabelSet, origin: Origin, summary: ExportSummary, *, synthetic: bool) -> str:
    """``dataset.toml`` as 'trainer prepare' reads it. Classes without a picture are left out, as it needs."""
    document = tomlkit.document()
    document["name"] = f"{origin.site}/{origin.device}, {label_set.name}"
    document["source"] = (
        f"{summary.pictures_count} fields kept by the device {origin.device} of {origin.site} and labelled there. "
        f"Agreed: {origin.consent or 'not recorded'}"
    )
    document["licence"] = f"as agreed: {origin.consent or 'not recorded'}; not published"
    specimens = "" if summary.has_specimens else " No specimens are named, so parts of a split may share some."
    document["limits"] = f"One device at one site; labels are by people who work there.{specimens}"
    document["synthetic"] = synthetic
    document["table"] = MANIFEST
    classes = tomlkit.aot()
    for each in label_set.labels:
        if each.code in summary.counts:
            classes.append(_describe_class(each))
    document["classes"] = classes
    return tomlkit.dumps(document)


def _describe_class(label: LabelChoice) -> tomlkit.items.Table:
    table = tomlkit.table()
    table["folder"] = table["code"] = label.code
    table["display_name"] = label.name
    table["meaning"] = label.meaning or label.name
    table["malignant"] = label.malignant
    return table


def _readme(label_set: LabelSet, origin: Origin, summary: ExportSummary, *, is_labelled: bool) -> str:
    if is_labelled:
        missing = [each.code for each in label_set.labels if each.code not in summary.counts]
        body = [
            f"{summary.pictures_count} fields with a label of the set `{label_set.name}`, in one folder per label.",
            "",
            "* `manifest.csv`: one row per picture: its specimen as `group`, who labelled it, and the model's answer",
            "* `dataset.toml`: the description for the trainer: `trainer prepare --data THIS_FOLDER --out split.csv`",
            "* `labels.jsonl`: every answer behind these labels",
            *([f"* No picture, and so not in `dataset.toml`: {', '.join(missing)}"] if missing else []),
        ]
    else:
        question = f'"{label_set.question}" ' if label_set.question else ""
        body = [
            f"{summary.pictures_count} fields to be labelled.",
            "",
            f"Write the answer to the question {question}into the column `label` of `manifest.csv`.",
            "Write your role, not your name, into `labelled_by`. Leave the other columns as they are.",
            "Then bring the file back with `edge-agent collection import manifest.csv`.",
            "",
            *(f"* `{each.code}`: {each.meaning or each.name}" for each in label_set.labels),
            "* `not_usable`: it cannot be said",
        ]
    return "\n".join(
        [
            f"# Fields of {origin.site}/{origin.device}",
            "",
            "Research use only. No result may be used for diagnosis.",
            "",
            *body,
            "",
            "## Consent",
            "",
            origin.consent or "None is recorded. Do not pass these pictures on.",
            "",
            f"Exported on {datetime.now(UTC):%Y-%m-%d} by leukoscope {__version__}.",
            "The names of files and specimens are opaque: only the clinic's own records connect them to a person.",
            "",
        ]
    )
