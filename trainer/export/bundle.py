"""'trainer bundle': from a quantized run to a bundle that the agent loads, with its figures on its cards."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import edge_agent
from edge_agent.cameras.smear import SMEAR_LABELS, draw_smear
from edge_agent.contracts import MANIFEST_SCHEMA, Manifest
from edge_agent.contracts.manifest import InputTensor, OutputTensors, PreprocessingId, Thresholds, Training
from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import CARD, GOLDEN, MANIFEST, MODEL, OOD
from edge_agent.inference.classifier import softmax
from edge_agent.inference.familiarity import Familiarity, description_size
from trainer.augmentation.augment import shift_moderately
from trainer.data.dataset import read_files
from trainer.data.split import Part, in_part, read_split
from trainer.errors import RunError
from trainer.evaluation.audit import Audit
from trainer.evaluation.evaluate import Wanted, evaluate, truth_of
from trainer.evaluation.judging import prepare
from trainer.evaluation.metrics import Figures
from trainer.export.conversion import input_quantization, middle_channels
from trainer.export.quantization import read_model
from trainer.reports.card import render_card
from trainer.reports.data_card import check_audit, render_data_card
from trainer.spec import CLASS_ACTIVATION_MAP, FEATURES, INPUT_SIZE_PX, LOGITS, MIDDLE_MAP
from trainer.training.calibration import choose_threshold, choose_unfamiliarity_limit, fit_temperature
from trainer.training.familiarity import VARIANTS_COUNT, examine, fit_familiarity, to_npz, unknown_yet, vary
from trainer.training.run import EVALUATION, SPLIT, RunConfig, read_config, read_duration, write_json

DATA_CARD = "data.md"

SHIFTED_COUNT = 4
"""Random moderate shifts of each validation image by which the thresholds are chosen."""

_HOW = "test {test:g} and validation {validation:g} of the images, stratified by class; overlapping fields on one side"


@dataclass(frozen=True, slots=True)
class BundleIdentity:
    """What a bundle is called."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class _Calibration:
    """What is chosen once the file is there. By default, of a bundle in the making: nothing is refused."""

    temperature: float = 1.0
    min_confidence_ratio: float = 0.0
    max_unfamiliarity_score: float = 1e9


def bundle(
    run: Path,
    data: Path,
    out: Path,
    identity: BundleIdentity,
    *,
    audit: Audit | None = None,
    foreign: Sequence[Path] = (),
) -> Figures:
    """Calibrate a quantized run, measure it, and write the bundle to ``out``. Returns the figures on the test images.

    Familiarity, temperature and thresholds are found through the int8 file, not the float network, because the file
    is what they serve: familiarity is fitted on training images, all else is chosen on validation images. ``audit``
    is of the same images, for the cards; ``foreign`` are folders of images that must be refused. They are measured
    for the card and change nothing. Raises ``TrainerError`` or ``BundleError``.
    """
    if out.exists() and any(out.iterdir()):
        raise RunError(f"{out} is not empty.", remedy="Remove the old bundle, or name another --out.")
    config = read_config(run)
    check_audit(audit, config)
    contents = _uncalibrated(read_model(run))
    assignments = read_split(run / SPLIT, data)
    files = {part: in_part(assignments, part) for part in Part}
    codes = list(config.dataset.codes)
    contents[DATA_CARD] = render_data_card(config, assignments, audit).encode()
    with tempfile.TemporaryDirectory() as folder:
        classifier = _load(Path(folder) / "uncalibrated", identity, config, contents)
        validation = read_files(data, files[Part.VALIDATION])
        familiarity = _familiarity(classifier, read_files(data, files[Part.TRAIN]), config.options.seed)
        contents[OOD] = to_npz(familiarity)
        calibration = _calibrate(classifier, familiarity, validation, truth_of(files[Part.VALIDATION], codes))

        draft = Path(folder) / "calibrated"
        calibrated = _load(draft, identity, config, contents, calibration)
        contents[GOLDEN] = _golden(Path(folder), calibrated)
        figures = {
            part: evaluate(str(draft), data, run / SPLIT, part, wanted)
            for part, wanted in (
                (Part.VALIDATION, Wanted()),
                (Part.TEST, Wanted(shifts=True, foreign=tuple(foreign))),
            )
        }
    manifest = _manifest(identity, config, contents, calibration)
    card = render_card(manifest, config, read_duration(run), figures[Part.VALIDATION], figures[Part.TEST], audit)
    contents[CARD] = card.encode()
    _write(out, _manifest(identity, config, contents, calibration), contents)
    Classifier(load_bundle(out)).verify_golden()
    write_json(run / EVALUATION, figures[Part.TEST])
    return figures[Part.TEST].figures


def uncalibrated_classifier(run: Path, folder: Path) -> Classifier:
    """A quantized run as a classifier whose probabilities, familiarity and refusals mean nothing; its logits do.

    ``folder`` is where its draft of a bundle may stay. Raises ``TrainerError`` or ``BundleError``.
    """
    return _load(folder, BundleIdentity("draft", "0.0.0"), read_config(run), _uncalibrated(read_model(run)))


def _uncalibrated(model: bytes) -> dict[str, bytes]:
    return {MODEL: model, OOD: to_npz(unknown_yet(description_size(middle_channels(model)))), GOLDEN: b"", CARD: b""}


def _load(
    folder: Path,
    identity: BundleIdentity,
    config: RunConfig,
    contents: Mapping[str, bytes],
    calibration: _Calibration | None = None,
) -> Classifier:
    _write(folder, _manifest(identity, config, contents, calibration), contents)
    return Classifier(load_bundle(folder))


def _familiarity(classifier: Classifier, fields: NDArray[np.uint8], seed: int) -> Familiarity:
    """Of training fields, uint8 RGB (n, 224, 224, 3), each varied several times."""
    examined = [
        examine(classifier, fields, f"What is familiar, {number + 1} of {VARIANTS_COUNT}", change=vary, seed=each)
        for number, each in enumerate(_seeds(seed, VARIANTS_COUNT))
    ]
    return fit_familiarity(np.concatenate([each.descriptions for each in examined]))


def _calibrate(
    classifier: Classifier, familiarity: Familiarity, fields: NDArray[np.uint8], truth: NDArray[np.int64]
) -> _Calibration:
    """Temperature and thresholds by validation fields, uint8 RGB (n, 224, 224, 3), and their classes (n,).

    The temperature is of images as they are and as often shifted ones: where nearly all clean ones are right, they
    would call for a certainty that no shifted one deserves.
    """
    clean = examine(classifier, fields, "Validation, as it is")
    shifted = [
        examine(classifier, fields, "Validation, shifted", change=shift_moderately, seed=seed)
        for seed in range(SHIFTED_COUNT)
    ]
    temperature = fit_temperature(np.concatenate([clean.logits, shifted[0].logits]), np.tile(truth, 2))
    sure = [softmax(each.logits, temperature).max(axis=1) for each in (clean, *shifted)]
    scores = [familiarity.distances(each.descriptions) for each in (clean, *shifted)]
    return _Calibration(
        temperature,
        choose_threshold(sure[0], np.concatenate(sure[1:])),
        choose_unfamiliarity_limit(scores[0], np.concatenate(scores[1:])),
    )


def _seeds(seed: int, count: int) -> list[int]:
    """Seeds that hang on ``seed`` and differ."""
    return [int(each) for each in np.random.SeedSequence(seed).generate_state(count)]


def _golden(folder: Path, classifier: Classifier) -> bytes:
    """``golden.npz``: one drawn smear of each kind, as drawn, as preprocessed, its logits and its score here."""
    # Without noise, a little soft and of 32 levels, so that the file is a third of the size.
    fields = 0xF8 & np.stack(
        [
            draw_smear(
                np.random.default_rng(seed),
                label,
                size_px=(INPUT_SIZE_PX, INPUT_SIZE_PX),
                focus_sigma_px=1.0,
                noise_sigma_levels=0.0,
            )[0]
            for seed, label in enumerate(SMEAR_LABELS)
        ]
    )
    images = np.stack([prepare(field, classifier) for field in fields])
    judged = [classifier.classify(image) for image in images]
    path = folder / GOLDEN
    np.savez_compressed(
        path,
        field=fields,
        image=images,
        logits=np.stack([each.logits for each in judged]),
        unfamiliarity=np.array([each.unfamiliarity_score for each in judged], np.float32),
    )
    return path.read_bytes()


def _manifest(
    identity: BundleIdentity,
    config: RunConfig,
    contents: Mapping[str, bytes],
    calibration: _Calibration | None = None,
) -> Manifest:
    options, dataset = config.options, config.dataset
    chosen = calibration or _Calibration()
    scale, zero_point = input_quantization(contents[MODEL])
    return Manifest(
        schema_=MANIFEST_SCHEMA,
        name=identity.name,
        version=identity.version,
        created_at=datetime.now(UTC),
        demonstration=dataset.synthetic,
        labels=tuple(each.label for each in dataset.classes),
        input=InputTensor(
            height_px=INPUT_SIZE_PX,
            width_px=INPUT_SIZE_PX,
            colour_order="RGB",
            dtype="int8",
            scale=scale,
            zero_point=zero_point,
        ),
        preprocessing=PreprocessingId(id=options.preprocessing, denoise=options.denoise),
        um_per_pixel=dataset.um_per_pixel,
        outputs=OutputTensors(
            logits=LOGITS, class_activation_map=CLASS_ACTIVATION_MAP, features=FEATURES, middle_map=MIDDLE_MAP
        ),
        temperature=chosen.temperature,
        thresholds=Thresholds(
            max_unfamiliarity_score=chosen.max_unfamiliarity_score, min_confidence_ratio=chosen.min_confidence_ratio
        ),
        training=Training(
            dataset=dataset.name,
            dataset_sha256=config.dataset_sha256,
            images_count=config.images_count,
            split=_HOW.format(test=options.test_share, validation=options.validation_share),
            seed=options.seed,
            commit=config.commit,
            command=config.command,
        ),
        min_agent_version=edge_agent.__version__,
        files={name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    )


def _write(folder: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
