"""The cards of a cells bundle, ``card.md`` and ``data.md``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from edge_agent.contracts import Manifest
from edge_agent.contracts.manifest import Evidence
from edge_agent.inference.bundle import MODEL
from edge_agent.intervals import wilson_interval
from trainer.cells.bundling.held_out import HeldOut
from trainer.cells.laboratories.listing import ListedCell
from trainer.cells.laboratories.sources import Groups, Meaning, Sources, Use
from trainer.cells.training.options import CellsOptions
from trainer.cells.training.run import CellsRunConfig
from trainer.data.split import Part
from trainer.evaluation.metrics import auroc
from trainer.reports.markdown import interval, percent, table
from trainer.site.certainty import accuracy_interval
from trainer.spec import IMAGENET


@dataclass(frozen=True, slots=True, eq=False)
class CardFigures:
    """The figures for the cards, measured through the int8 file."""

    test: HeldOut
    foreign: HeldOut | None
    """Objects that are no cells; None if the laboratories have none."""


def render_cells_card(
    manifest: Manifest,
    config: CellsRunConfig,
    figures: CardFigures,
    lacking: Sequence[str],
    left_out: str | None,
) -> str:
    """``card.md``. ``left_out`` is Markdown about the recipe on laboratories that were left out of training."""
    training, windows = manifest.training, manifest.cells
    width = "unknown" if windows is None else f"{windows.window_um:g} µm"
    return f"""\
# {manifest.name} {manifest.version}

{_opening(lacking)}

## Intended use

Research and engineering only: not a medical device, not for diagnosis, treatment or triage. It judges single \
nucleated cells of stained blood smears, and is no differential count for a patient.

## Types

{_labels(manifest)}

## Laboratories that it was not trained on

{left_out or "This was not measured for this bundle."}

## Measured on {len(figures.test.cells)} test cells, through this int8 file

{_apart(config.options)} {_scope(config.options)} The windows were cut at the scales in `data.md`.

{_accuracy(figures.test)}

{_record(manifest.evidence)}{_types_table(manifest.evidence)}

Blasts against all other cells:

{_blast_table(figures.test)}

## What it refuses

A cell must first be familiar: its Mahalanobis distance from the training cells must not be above \
{manifest.thresholds.max_unfamiliarity_score:g}, by the output of a layer with ImageNet weights and by the window's \
colours. And its likeliest type must have a probability of at least {manifest.thresholds.min_confidence_ratio:.3f}. \
Both limits were chosen on validation cells.

{_refused_table(figures)}

## How it was made

* Network: MobileNetV2 (Sandler et al., 2018), alpha 0.35, from ImageNet weights by Google (Apache-2.0; \
{_weights(config.options)}). A blast is told by layers that keep these weights, with log-odds linear in the means and \
mean squares of three of their maps; the other types by a fine-tuned copy of the last layers.
* Probabilities: `{"softmax" if windows is None else windows.probabilities}`, temperature {manifest.temperature:.3f} \
(lowest log loss on validation cells, as they are and varied).
* Window: {width}, {manifest.input.width_px} px; preprocessing `{manifest.preprocessing.id}`.
* Conversion: full-integer int8, weights per channel.
* {training.images_count} cells; {training.split}. Hash of the pictures' hashes: `{training.dataset_sha256}`.
* Model: `{manifest.files[MODEL]}`.
* Seed {training.seed}, commit `{training.commit}`.
* Command: `{training.command}`
"""


def render_cells_data(
    config: CellsRunConfig,
    sources: Sources,
    parts: Mapping[Part, Sequence[ListedCell]],
    objects: tuple[int, int],
) -> str:
    """``data.md``: laboratories with licence, scale and groups, and how their cells were divided.

    ``objects`` has the numbers of pictures of no cell that familiarity learnt to refuse, and that only measured it.
    """
    trained = [each for each in sources.laboratories if each.use is Use.TRAINING]
    described = table(
        ("laboratory", "what it has", "shorter side", "by", "patients", "licence"),
        *(
            (
                f"`{each.code}`",
                each.name,
                f"{each.side_um:g} µm",
                each.scale_source,
                "known" if each.groups is Groups.PATIENTS else "**not known**",
                each.licence,
            )
            for each in trained
        ),
    )
    return f"""\
# Data: cells of {len(trained)} laboratories

{config.cells_count} pictures of single nucleated cells; hash of their hashes `{config.cells_sha256}`. None of them is \
part of the bundle.

## Laboratories

{described}

## Parts

{_apart(config.options)}

{_parts_table(parts)}

{_groups_table(parts)}

Of {sum(objects)} pictures of objects without a nucleus, {objects[0]} could serve to fit what is refused, and \
{objects[1]} only to measure it.

## Limits

* Myeloid and lymphoid blasts differ, and each laboratory has mostly one kind.
* Some laboratories have no healthy persons, others no ill ones.
* Most cells were named by one reader.
* Where patients are not known, cells of one person may be on both sides.
"""


def _opening(lacking: Sequence[str]) -> str:
    kind = "A classifier for single cells of stained blood smears. **Research use only.**"
    if lacking:
        return f"**Provisional.** The agent gives no type with this bundle. {' '.join(lacking)}\n\n{kind}"
    return kind


def _labels(manifest: Manifest) -> str:
    rows = [
        (f"`{each.code}`", each.display_name, "yes" if each.malignant else "no", each.meaning)
        for each in manifest.labels
    ]
    return table(("code", "name", "malignant", "meaning"), *rows)


def _apart(options: CellsOptions) -> str:
    if options.leave_out is not None:
        return f"The test cells are all those of `{options.leave_out}`, which was left out of training."
    return (
        "No patient's cells, nor pictures of the same content, are in more than one part."
        if options.apart.value == "patients"
        else "Pictures are in one part each; **a patient's cells are in several**."
    )


def _scope(options: CellsOptions) -> str:
    if options.leave_out is not None:
        return "So these figures are of one laboratory that is new to it."
    return "These are cells of its own laboratories, and the figures say little of others."


def _accuracy(test: HeldOut) -> str:
    typed = test.typed
    if not typed.any():
        return "No test cell has a known type."
    right = test.probabilities[typed].argmax(axis=1) == test.truth
    answered = test.answered[typed]
    within = percent(float(right[answered].mean()) if answered.any() else None)
    bounds = interval(accuracy_interval(right, test.groups[typed]))
    return (
        f"Likeliest type of {len(right)} cells of known type, refused or not: {percent(float(right.mean()))} right "
        f"({bounds}, by patients). Not refused: {percent(float(answered.mean()))}; of these, {within} are right."
    )


def _record(evidence: Evidence | None) -> str:
    if evidence is None:
        return ""
    return f"The record, by which the agent decides whether types may be used, is of {evidence.held_out}:\n\n"


def _types_table(evidence: Evidence | None) -> str:
    if evidence is None:
        return "There is no record by type."
    return table(
        ("type", "training cells", "test cells", "right", "share", "95 %"),
        *(
            (
                f"`{each.code}`",
                str(each.training_images_count),
                str(each.held_out_images_count),
                str(each.held_out_right_count),
                _share(each.held_out_right_count, each.held_out_images_count),
                _bounds(each.held_out_right_count, each.held_out_images_count),
            )
            for each in evidence.classes
        ),
    )


def _blast_table(test: HeldOut) -> str:
    blast = np.array([each.is_blast is True for each in test.cells], bool)
    laboratories = np.array([each.laboratory for each in test.cells], str)
    rows = []
    for code in sorted(set(laboratories.tolist())):
        own = laboratories == code
        area = auroc(test.probabilities[own, 0], blast[own])
        found = "not defined" if area is None else f"{area:.3f}"
        rows.append((f"`{code}`", str(int(own.sum())), str(int(blast[own].sum())), found))
    return table(("laboratory", "cells", "blasts", "AUROC"), *rows)


def _refused_table(figures: CardFigures) -> str:
    rows = [_refused_row(f"test cells of `{code}`", figures.test, own) for code, own in _by_laboratory(figures.test)]
    if figures.foreign is not None:
        rows += [
            _refused_row(f"objects without a nucleus of `{code}`, not fitted to", figures.foreign, own)
            for code, own in _by_laboratory(figures.foreign)
        ]
    return table(("pictures", "number", "refused as unfamiliar", "95 %", "refused for any reason"), *rows)


def _refused_row(what: str, found: HeldOut, own: NDArray[np.bool_]) -> tuple[str, ...]:
    count, unfamiliar = int(own.sum()), int((~found.familiar[own]).sum())
    refused = int((~found.answered[own]).sum())
    return what, str(count), _share(unfamiliar, count), _bounds(unfamiliar, count), _share(refused, count)


def _by_laboratory(found: HeldOut) -> list[tuple[str, NDArray[np.bool_]]]:
    laboratories = np.array([each.laboratory for each in found.cells], str)
    return [(code, laboratories == code) for code in sorted(set(laboratories.tolist()))]


def _parts_table(parts: Mapping[Part, Sequence[ListedCell]]) -> str:
    counts = Counter((each.laboratory, each.meaning, part) for part, cells in parts.items() for each in cells)
    kinds = sorted({(code, meaning) for code, meaning, _ in counts}, key=lambda each: (each[0], _ORDER[each[1]]))
    return table(
        ("laboratory", "type", *_PARTS.values()),
        *(
            (f"`{code}`", f"`{meaning.value}`", *(str(counts[code, meaning, part]) for part in Part))
            for code, meaning in kinds
        ),
    )


_PARTS = {Part.TRAIN: "training", Part.VALIDATION: "validation", Part.TEST: "test"}
_ORDER = {meaning: position for position, meaning in enumerate(Meaning)}


def _groups_table(parts: Mapping[Part, Sequence[ListedCell]]) -> str:
    codes = sorted({each.laboratory for cells in parts.values() for each in cells})
    rows = []
    for code in codes:
        groups = {part: {each.group for each in cells if each.laboratory == code} for part, cells in parts.items()}
        known = not any(None in each for each in groups.values())
        rows.append((f"`{code}`", *(str(len(groups[part])) if known else "not known" for part in Part)))
    return table(("laboratory", *(f"patients in {name}" for name in _PARTS.values())), *rows)


def _weights(options: CellsOptions) -> str:
    return "Keras' download" if options.weights == IMAGENET else f"`{PurePath(options.weights).name}`"


def _share(part: int, count: int) -> str:
    return percent(part / count) if count else "no cells"


def _bounds(part: int, count: int) -> str:
    if not count:
        return ""
    low, high = wilson_interval(part, count)
    return f"{percent(low)} to {percent(high)}"
