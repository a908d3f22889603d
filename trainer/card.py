"""The bundle's ``card.md``: what a person must know before trusting the model."""

from __future__ import annotations

from pathlib import PurePath

from edge_agent.contracts import Manifest
from trainer.metrics import Figures
from trainer.run import RunConfig
from trainer.spec import IMAGENET


def render_card(manifest: Manifest, config: RunConfig, validation: Figures, test: Figures, size_bytes: int) -> str:
    """The card as Markdown. All figures are of the int8 file in the bundle, which has ``size_bytes``."""
    options, dataset, training = config.options, config.dataset, manifest.training
    low, high = test.accuracy_interval_ratio
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

## Measured on {test.images_count} unseen images, through this int8 file

* Accuracy: {_percent(test.accuracy_ratio)} (95 %: {_percent(low)} to {_percent(high)}), abstentions not excused.
* Malignant against benign: recall {_percent(test.malignant_recall_ratio)}, \
specificity {_percent(test.malignant_specificity_ratio)}.
* Abstained: {_percent(test.abstained_ratio)}; accuracy of the rest: {_percent(test.answered_accuracy_ratio)}.
* Expected calibration error: {_percent(test.expected_calibration_error_ratio)}.

{_figures_table(test)}

Rows are the truth, columns what the model gives:

{_confusion_table(test)}

On the {validation.images_count} validation images, by which regularisation, temperature and threshold were chosen: \
accuracy {_percent(validation.accuracy_ratio)}, abstained {_percent(validation.abstained_ratio)}.

## Limits

{dataset.limits}

## How it was made

* Network: MobileNetV2 (Sandler et al., 2018), alpha {options.alpha:g}, with frozen ImageNet weights by Google \
(Apache-2.0; {weights}). Its last layer, a 1x1 convolution, is a linear classifier fitted to {options.variants} \
augmented variants of each training image.
* Preprocessing: `{manifest.preprocessing.id}`, denoising `{manifest.preprocessing.denoise}`.
* Augmentation: orientation, brightness, white balance, contrast, strength of the stain. The corner where scale bars \
are burnt in is covered, and bars are drawn at random, so that they carry nothing.
* Conversion: full-integer int8, weights per channel, {size_bytes / 1e6:.2f} MB.
* Temperature {manifest.temperature:.3f} (least log loss) and threshold of confidence \
{manifest.thresholds.min_confidence_ratio:.3f} (at most 1 % refused), both on the validation images.
* Seed {training.seed}, commit `{training.commit}`.
* Command: `{training.command}`
"""


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
