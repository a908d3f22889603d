"""Writes a bundle's folder: its manifest and its files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import edge_agent
from edge_agent.contracts import MANIFEST_SCHEMA, Manifest
from edge_agent.contracts.manifest import (
    Evidence,
    InputTensor,
    OutputTensors,
    PreprocessingId,
    Reference,
    Thresholds,
    Training,
    TrainingAppearance,
)
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import CARD, GOLDEN, MANIFEST, MODEL, OOD
from edge_agent.inference.familiarity import description_size
from trainer.export.conversion import input_quantization, middle_channels
from trainer.export.identity import BundleIdentity
from trainer.export.quantization import read_model
from trainer.files import make_folder, replacing
from trainer.spec import CLASS_ACTIVATION_MAP, FEATURES, INPUT_SIZE_PX, LOGITS, MIDDLE_MAP
from trainer.training.familiarity import placeholder_familiarity, to_npz
from trainer.training.run import RunConfig, read_config

DATA_CARD = "data.md"
SPLIT_DESCRIPTION = (
    "test {test:g} and validation {validation:g} of the images, stratified by class; overlapping fields on one side"
)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Temperature and thresholds. The defaults are for an unfinished bundle: nothing is refused."""

    temperature: float = 1.0
    min_confidence_ratio: float = 0.0
    max_unfamiliarity_score: float = 1e9

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds as the manifest has them."""
        return Thresholds(
            max_unfamiliarity_score=self.max_unfamiliarity_score, min_confidence_ratio=self.min_confidence_ratio
        )


@dataclass(frozen=True, slots=True)
class Looks:
    """The figures that the agent compares fields with."""

    appearance: TrainingAppearance
    reference: Reference


def uncalibrated_classifier(run: Path, folder: Path) -> Classifier:
    """A quantized run as a classifier; only its logits are meaningful.

    Its unfinished bundle is written to ``folder``. Raises ``TrainerError`` or ``BundleError``.
    """
    return load_draft(
        folder, BundleIdentity("draft", "0.0.0"), read_config(run), uncalibrated_contents(read_model(run))
    )


OUTPUTS = OutputTensors(
    logits=LOGITS, class_activation_map=CLASS_ACTIVATION_MAP, features=FEATURES, middle_map=MIDDLE_MAP
)
"""Names of the outputs of every bundle's model."""


def describe_input(model: bytes, side_px: int) -> InputTensor:
    """The input of the int8 file. Raises ``RunError`` if it is damaged."""
    scale, zero_point = input_quantization(model)
    return InputTensor(
        height_px=side_px, width_px=side_px, colour_order="RGB", dtype="int8", scale=scale, zero_point=zero_point
    )


def hash_files(contents: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of each file by its name."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def uncalibrated_contents(model: bytes) -> dict[str, bytes]:
    """A bundle's files by name around ``model``, with placeholders for those that are computed later."""
    return {
        MODEL: model,
        OOD: to_npz(placeholder_familiarity(description_size(middle_channels(model)))),
        GOLDEN: b"",
        CARD: b"",
    }


def load_draft(
    folder: Path,
    identity: BundleIdentity,
    config: RunConfig,
    contents: Mapping[str, bytes],
    calibration: Calibration | None = None,
) -> Classifier:
    """Write an unfinished bundle to ``folder`` and load it. Raises ``BundleError`` or ``OutputUnwritable``."""
    write_bundle(folder, build_manifest(identity, config, contents, calibration), contents)
    return Classifier(load_bundle(folder))


def build_manifest(
    identity: BundleIdentity,
    config: RunConfig,
    contents: Mapping[str, bytes],
    calibration: Calibration | None = None,
    evidence: Evidence | None = None,
    looks: Looks | None = None,
) -> Manifest:
    """The manifest of these files. Raises ``RunError`` if the model is damaged."""
    options, dataset = config.options, config.dataset
    chosen = calibration or Calibration()
    return Manifest(
        schema=MANIFEST_SCHEMA,
        name=identity.name,
        version=identity.version,
        created_at=datetime.now(UTC),
        demonstration=dataset.synthetic,
        labels=tuple(each.label for each in dataset.classes),
        input=describe_input(contents[MODEL], INPUT_SIZE_PX),
        preprocessing=PreprocessingId(id=options.preprocessing, denoise=options.denoise),
        um_per_pixel=dataset.um_per_pixel,
        field=dataset.field,
        outputs=OUTPUTS,
        temperature=chosen.temperature,
        thresholds=chosen.thresholds,
        training=Training(
            dataset=dataset.name,
            dataset_sha256=config.dataset_sha256,
            images_count=config.images_count,
            split=SPLIT_DESCRIPTION.format(test=options.test_share, validation=options.validation_share),
            seed=options.seed,
            commit=config.commit,
            command=config.command,
        ),
        evidence=evidence,
        appearance=None if looks is None else looks.appearance,
        reference=None if looks is None else looks.reference,
        min_agent_version=edge_agent.__version__,
        files=hash_files(contents),
    )


def write_bundle(folder: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
    """Write the files, then the manifest, so that an incomplete folder is no bundle.

    Raises ``OutputUnwritable``.
    """
    make_folder(folder)
    for name, content in {**contents, MANIFEST: f"{manifest.model_dump_json(indent=2)}\n".encode()}.items():
        with replacing(folder / name) as file:
            file.write(content)
