"""'trainer evaluate': measures a bundle, as the agent would use it, on images that it was not trained on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent.cameras.frame import Encoded
from edge_agent.contracts import BundleKind
from edge_agent.contracts.manifest import Evidence
from edge_agent.errors import BundleWrongKind
from edge_agent.inference import Classifier
from edge_agent.inference.geometry import field_geometry
from edge_agent.settings import Settings
from trainer.data.dataset import ImageFile, read_files
from trainer.data.grouping import merge_groups
from trainer.data.split import Part, read_split
from trainer.errors import DataError
from trainer.evaluation.bundle_analyzer import BundleAnalyzer, Predictions
from trainer.evaluation.corner import CornerFigures, measure_corner
from trainer.evaluation.evidence import measure_evidence
from trainer.evaluation.figures import Figures
from trainer.evaluation.foreign import ForeignFigures, list_foreign, measure_foreign
from trainer.evaluation.metrics import measure_answers
from trainer.evaluation.options import EvaluationOptions
from trainer.evaluation.shifts import ShiftFigures, measure_shifts
from trainer.networks.int8 import int8_logits, preprocess_for
from trainer.networks.quiet_import import import_keras
from trainer.training.run import WEIGHTS, read_config

if TYPE_CHECKING:
    import keras


class Parity(Settings):
    """The float network against the int8 file, on the same images."""

    float_accuracy_ratio: float
    agreement_ratio: float = Field(description="Share of images that both give the same top class.")
    mean_logit_difference: float
    max_logit_difference: float


class Speed(Settings):
    """How long one image took, here. Medians."""

    runtime: str
    machine: str
    cores_count: int
    threads_count: int
    inference_ms: float = Field(description="The network alone, and what is computed from its outputs.")
    total_ms: float = Field(description="From the file's bytes to the reading.")


class Evaluation(Settings):
    """Figures of a bundle on one part of a split, through the int8 file and the agent's analyzer."""

    bundle: str
    model_sha256: str
    model_bytes: int
    part: Part
    figures: Figures
    refusals: dict[str, int] = Field(description="How many were refused, by reason.")
    speed: Speed
    parity: Parity | None = Field(description="Null if the float weights are not in the split's folder.")
    shifts: tuple[ShiftFigures, ...] | None = Field(default=None, description="Null where not asked for.")
    corner: tuple[CornerFigures, ...] | None = Field(default=None, description="Null where not asked for.")
    foreign: tuple[ForeignFigures, ...] | None = Field(default=None, description="Null where not asked for.")
    evidence: Evidence | None = Field(default=None, description="The record for the manifest, of the test part.")


def evaluate(
    bundle: str, data: Path, split: Path, part: Part = Part.TEST, options: EvaluationOptions | None = None
) -> Evaluation:
    """Measure one part of ``split`` through a bundle that judges fields. Raises ``BundleError`` or ``TrainerError``."""
    options = options or EvaluationOptions()
    for folder in options.foreign:
        list_foreign(folder)
    analyzer = BundleAnalyzer.load(bundle)
    manifest = analyzer.manifest
    if manifest.kind is BundleKind.CELLS:
        raise BundleWrongKind(
            f"Bundle '{manifest.name}' judges single cells, and a split lists fields.",
            remedy="Measure it with 'trainer judge-cells'.",
        )
    assignments = read_split(split, data)
    chosen = [each for each in assignments if each.part is part]
    files = [each.file for each in chosen]
    truth = class_indices(files, [label.code for label in manifest.labels])
    groups = merge_groups([each.duplicate_group for each in chosen], [file.group for file in files])
    run = split.parent
    # Loaded before the images are measured, so that missing files are noticed at once.
    network = _float_network(run, len(manifest.labels)) if (run / WEIGHTS).exists() else None
    fields = read_files(data, files, field_geometry(manifest.field, manifest.input.height_px))
    predictions = analyzer.predict([Encoded((data / file.path).read_bytes()) for file in files])
    return Evaluation(
        bundle=f"{manifest.name} {manifest.version}",
        model_sha256=manifest.files["model.tflite"],
        model_bytes=analyzer.classifier.bundle.model_path.stat().st_size,
        part=part,
        figures=measure_answers(
            predictions.probabilities, truth, manifest.labels, predictions.answered, groups=groups, seed=options.seed
        ),
        refusals=predictions.refusals,
        speed=_speed(analyzer, predictions),
        parity=None if network is None else _parity(analyzer.classifier, network, fields, truth),
        shifts=measure_shifts(analyzer, fields, truth, groups, draws=options.draws, seed=options.seed)
        if options.shifts
        else None,
        corner=measure_corner(analyzer, fields, predictions, seed=options.seed) if options.shifts else None,
        foreign=measure_foreign(analyzer, options.foreign) if options.foreign else None,
        evidence=measure_evidence(
            predictions.top, truth, assignments, [label.code for label in manifest.labels], options.seed
        )
        if part is Part.TEST
        else None,
    )


def class_indices(files: Sequence[ImageFile], codes: Sequence[str]) -> NDArray[np.int64]:
    """Index of each file's class among ``codes``. Raises ``DataError`` for a class that is not among them."""
    if not files:
        raise DataError("the split has no image in this part.", remedy="Name another --split or --part.")
    if unknown := sorted({file.label for file in files} - set(codes)):
        raise DataError(
            f"the split has a class {unknown[0]} that the bundle does not have.",
            remedy="Name a split of the bundle's own classes.",
        )
    return np.array([codes.index(file.label) for file in files], np.int64)


def _speed(analyzer: BundleAnalyzer, predictions: Predictions) -> Speed:
    return Speed(
        runtime=analyzer.classifier.identity.runtime,
        machine=platform.machine(),
        cores_count=os.cpu_count() or 1,
        threads_count=1,
        inference_ms=float(np.median(predictions.latency_ms["inference"])),
        total_ms=float(np.median(predictions.latency_ms["total"])),
    )


def _float_network(run: Path, classes_count: int) -> keras.Model:
    import_keras()
    from trainer.networks.network import restore_network

    options = read_config(run).options
    return restore_network(run / WEIGHTS, options.alpha, classes_count, options.network)


def _parity(
    classifier: Classifier, network: keras.Model, fields: NDArray[np.uint8], truth: NDArray[np.int64]
) -> Parity:
    from trainer.networks.network import predict_logits

    logits = int8_logits(classifier, fields)
    floating = predict_logits(network, np.stack([preprocess_for(field, classifier) for field in fields]))
    difference = np.abs(floating - logits)
    return Parity(
        float_accuracy_ratio=float((floating.argmax(axis=1) == truth).mean()),
        agreement_ratio=float((floating.argmax(axis=1) == logits.argmax(axis=1)).mean()),
        mean_logit_difference=float(difference.mean()),
        max_logit_difference=float(difference.max()),
    )
