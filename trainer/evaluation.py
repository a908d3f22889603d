"""'trainer evaluate': what a bundle does on images that it was not trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.classifier import softmax
from edge_agent.settings import Settings
from trainer.dataset import ImageFile, read_files
from trainer.errors import DataError
from trainer.judging import judge_fields, prepare
from trainer.metrics import Figures, measure
from trainer.run import WEIGHTS, read_config
from trainer.split import Part, in_part, read_split


class Parity(Settings):
    """The float network against the int8 file, on the same images."""

    float_accuracy_ratio: float
    agreement_ratio: float = Field(description="Share of images that both give the same class.")
    mean_logit_difference: float
    max_logit_difference: float


class Evaluation(Settings):
    """Figures of a bundle on one part of a split."""

    bundle: str
    model_sha256: str
    part: Part
    figures: Figures
    parity: Parity | None = Field(description="Null where the float weights are not beside the split.")


def evaluate(bundle: str, data: Path, split: Path, part: Part = Part.TEST) -> Evaluation:
    """Judge one part of ``split`` by the bundle. Raises ``BundleError`` or ``TrainerError``."""
    classifier = Classifier(load_bundle(bundle))
    manifest = classifier.manifest
    files = in_part(read_split(split), part)
    truth = truth_of(files, [label.code for label in manifest.labels])
    fields = read_files(data, files)
    logits = judge_fields(classifier, fields)
    run = split.parent
    return Evaluation(
        bundle=f"{manifest.name} {manifest.version}",
        model_sha256=manifest.files["model.tflite"],
        part=part,
        figures=measure(
            softmax(logits, manifest.temperature),
            truth,
            manifest.labels,
            manifest.thresholds.min_confidence_ratio,
        ),
        parity=_parity(classifier, run, fields, logits, truth) if (run / WEIGHTS).exists() else None,
    )


def truth_of(files: list[ImageFile], codes: list[str]) -> NDArray[np.int64]:
    """Index of each file's class among ``codes``. Raises ``DataError`` for a class that is not there."""
    if not files:
        raise DataError("the split has no image in this part.", remedy="Name another split.")
    if unknown := sorted({file.label for file in files} - set(codes)):
        raise DataError(
            f"the split has a class {unknown[0]} that the bundle does not know.", remedy="Name another split."
        )
    return np.array([codes.index(file.label) for file in files], np.int64)


def _parity(
    classifier: Classifier,
    run: Path,
    fields: NDArray[np.uint8],
    logits: NDArray[np.float32],
    truth: NDArray[np.int64],
) -> Parity:
    # Keras and TensorFlow take seconds to import, and only this comparison needs them.
    from trainer.network import predict_logits, restore_network  # noqa: PLC0415

    network = restore_network(run / WEIGHTS, read_config(run).options.alpha, logits.shape[1])
    floating = predict_logits(network, np.stack([prepare(field, classifier) for field in fields]))
    difference = np.abs(floating - logits)
    return Parity(
        float_accuracy_ratio=float((floating.argmax(axis=1) == truth).mean()),
        agreement_ratio=float((floating.argmax(axis=1) == logits.argmax(axis=1)).mean()),
        mean_logit_difference=float(difference.mean()),
        max_logit_difference=float(difference.max()),
    )
