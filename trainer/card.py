"""The bundle's ``card.md``: what a person must know before trusting the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from edge_agent.contracts import Manifest
from trainer.calibration import CLEAN_UNFAMILIAR_SHARE, SHIFTED_UNFAMILIAR_SHARE
from trainer.evaluation import Evaluation
from trainer.familiarity import VARIANTS_COUNT
from trainer.foreign import ForeignFigures
from trainer.metrics import Figures
from trainer.run import RunConfig
from trainer.shifts import CornerFigures, ShiftFigures
from trainer.spec import IMAGENET, middle_layer


def render_card(manifest: Manifest, config: RunConfig, validation: Evaluation, test: Evaluation) -> str:
    """The card as Markdown. All figures are of the int8 file in the bundle, through the agent's own analyzer."""
    options, dataset, training = config.options, config.dataset, manifest.training
    figures = test.figures
    low, high = figures.accuracy_interval_ratio
    scale = "unknown" if manifest.um_per_pixel is None else f"{manifest.um_per_pixel:g} µm per pixel"
    weights = "Keras' download" if options.weights == IMAGENET else f"`{PurePath(options.weights).name}`"
    return f"""\
# {manifest.name} {manifest.version}

{_opening(manifest)}

## Intended use

Research and engineering only: not a medical device, not for diagnosis, treatment or triage. It classifies fields of
a stained blood smear that look like its training images, and nothing else.

## Classes

{_class_table(manifest)}

## Data

* {dataset.name}: {dataset.source}.
* Licence: {dataset.licence}.
* {training.images_count} images; {training.split}.
* Hash of the images' hashes: `{training.dataset_sha256}`.
* Physical scale at {manifest.input.width_px} px: {scale} ({dataset.um_per_pixel_source}).

## Measured on {figures.images_count} unseen images, through this int8 file

By top class, every image counted, refused or not:

* Accuracy: {_percent(figures.accuracy_ratio)} (95 %: {_percent(low)} to {_percent(high)}).
* Malignant against benign: recall {_percent(figures.malignant_recall_ratio)}, \
specificity {_percent(figures.malignant_specificity_ratio)}, F1 {_percent(figures.malignant_f1_ratio)}, \
AUROC {_percent(figures.malignant_auroc_ratio)}.
* Expected calibration error: {_percent(figures.expected_calibration_error_ratio)}; Brier score \
{figures.brier_score:.4f}.

As the agent answers: refused {_percent(figures.refused_ratio)} ({_counts(test.refusals)}); of what it answers, \
{_percent(figures.answered_accuracy_ratio)} is right.

{_figures_table(figures)}

Rows are the truth, columns the top class:

{_confusion_table(figures)}

{_parity(test)}

On the {validation.figures.images_count} validation images, by which regularisation, temperature and thresholds were \
chosen: accuracy {_percent(validation.figures.accuracy_ratio)}, refused {_percent(validation.figures.refused_ratio)}.

## What it refuses

Softmax is no guard: a network is as sure of another laboratory's slide as of its own. Before its probabilities count, \
a field must be familiar: a Mahalanobis distance (Lee et al., 2018) of `{middle_layer(options.alpha)}`, a layer left \
at its ImageNet weights, and of the field's colours, from {VARIANTS_COUNT} varied versions of each training image. \
The limit, {manifest.thresholds.max_unfamiliarity_score:g}, is the lowest that refuses at most \
{_percent(CLEAN_UNFAMILIAR_SHARE)} of the validation images as they are and {_percent(SHIFTED_UNFAMILIAR_SHARE)} of \
them moderately shifted. An unfamiliar field gets neither label nor probabilities.

{_foreign(test.foreign)}

## Under shifts

{_shifts(test.shifts or ())}

What the bottom-right corner, where scale bars are burnt in, has to say:

{_corner(test.corner or ())}

## Limits

{dataset.limits}

## How it was made

* Network: MobileNetV2 (Sandler et al., 2018), alpha {options.alpha:g}, from ImageNet weights by Google \
(Apache-2.0; {weights}).
* Preprocessing: `{manifest.preprocessing.id}`, denoising `{manifest.preprocessing.denoise}`.
* The corner where scale bars are burnt in is covered in training, and bars are drawn at random, so that they carry \
nothing.
* Conversion: full-integer int8, weights per channel, {test.model_bytes / 1e6:.2f} MB. \
{test.speed.inference_ms:.1f} ms per image ({test.speed.runtime}, {test.speed.machine}, \
{test.speed.threads_count} thread).
* Temperature {manifest.temperature:.3f} (least log loss) and threshold of confidence \
{manifest.thresholds.min_confidence_ratio:.3f} (at most 1 % refused), both on the validation images.
* Seed {training.seed}, commit `{training.commit}`.
* Command: `{training.command}`
"""


def _parity(test: Evaluation) -> str:
    if test.parity is None:
        return "The float network was not at hand to compare with."
    return (
        f"The float network has {_percent(test.parity.float_accuracy_ratio)}; "
        f"both give the same class on {_percent(test.parity.agreement_ratio)}."
    )


def _foreign(rows: Sequence[ForeignFigures] | None) -> str:
    if rows is None:
        return "It was not tried on images of other laboratories."
    return _table(
        ("images that it must refuse", "images", "refused", "because", "the rest called"),
        *(
            (
                row.folder,
                str(row.images_count),
                _percent(row.refused_ratio),
                _counts(row.refusals),
                _counts(row.answered_labels),
            )
            for row in rows
        ),
    )


def _shifts(rows: Sequence[ShiftFigures]) -> str:
    return _table(
        ("shift", "strength", "images", "top class right", "answered", "answers right"),
        *(
            (
                row.shift,
                row.strength,
                str(row.images_count),
                _percent(row.top_accuracy_ratio),
                _percent(row.answered_ratio),
                _percent(row.answered_accuracy_ratio),
            )
            for row in rows
        ),
    )


def _corner(rows: Sequence[CornerFigures]) -> str:
    return _table(
        ("overwritten by", "top class changes", "answer changes", "label changes"),
        *(
            (
                row.overwritten_by,
                _percent(row.top_changed_ratio),
                _percent(row.answer_changed_ratio),
                _percent(row.label_changed_ratio),
            )
            for row in rows
        ),
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items()) or "none"


def _opening(manifest: Manifest) -> str:
    if manifest.demonstration:
        return "**Demonstration.** Trained on drawn smears, not on blood. Its readings mean nothing, and say so."
    return "A classifier for fields of stained peripheral blood smears. **Research use only.**"


def _class_table(manifest: Manifest) -> str:
    rows = [
        (f"`{label.code}`", label.display_name, "yes" if label.malignant else "no", label.meaning)
        for label in manifest.labels
    ]
    return _table(("code", "name", "malignant", "meaning"), *rows)


def _figures_table(figures: Figures) -> str:
    rows = [
        (
            f"`{each.code}`",
            str(each.images_count),
            _percent(each.precision_ratio),
            _percent(each.recall_ratio),
            _percent(each.f1_ratio),
        )
        for each in figures.classes
    ]
    return _table(("class", "images", "precision", "recall", "F1"), *rows)


def _confusion_table(figures: Figures) -> str:
    codes = [f"`{each.code}`" for each in figures.classes]
    rows = [(code, *map(str, row)) for code, row in zip(codes, figures.confusion, strict=True)]
    return _table(("", *codes), *rows)


def _table(*rows: tuple[str, ...]) -> str:
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "| --- " * len(rows[0]) + "|", *body])


def _percent(ratio: float | None) -> str:
    return "not defined" if ratio is None else f"{100 * ratio:.2f} %"
