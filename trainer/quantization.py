"""'trainer quantize': from a run to a bundle that the agent loads, with its figures on its card."""

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
from edge_agent.vision.preprocessing import preprocess
from trainer.augmentation import shift_moderately
from trainer.calibration import choose_threshold, choose_unfamiliarity_limit, fit_temperature
from trainer.card import render_card
from trainer.conversion import convert_to_int8, input_quantization
from trainer.dataset import ImageFile, read_files
from trainer.errors import RunError
from trainer.evaluation import Wanted, evaluate, truth_of
from trainer.familiarity import VARIANTS_COUNT, describe_fields, fit_familiarity, to_npz, unknown_yet, vary
from trainer.judging import judge_fields, prepare
from trainer.metrics import Figures
from trainer.network import restore_network
from trainer.run import SPLIT, WEIGHTS, RunConfig, read_config
from trainer.spec import CLASS_ACTIVATION_MAP, FEATURES, INPUT_SIZE_PX, LOGITS, MIDDLE_MAP
from trainer.split import Part, in_part, read_split

REPRESENTATIVE_COUNT = 300
"""Training images from which the ranges of the activations are taken."""

SHIFTED_COUNT = 4
"""Random moderate shifts of each validation image by which the limit of unfamiliarity is chosen."""

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


def quantize(run: Path, data: Path, out: Path, identity: BundleIdentity, foreign: Sequence[Path] = ()) -> Figures:
    """Convert, calibrate, measure, and write the bundle to ``out``. Returns the figures on the test images.

    Familiarity, temperature and thresholds are found through the int8 file, not the float network, because the file
    is what they serve: familiarity is fitted on training images, all else is chosen on validation images. ``foreign``
    are folders of images that must be refused; they are measured for the card and change nothing.
    Raises ``TrainerError`` or ``BundleError``.
    """
    if out.exists() and any(out.iterdir()):
        raise RunError(f"{out} is not empty.", remedy="Remove the old bundle, or name another --out.")
    config = read_config(run)
    codes = list(config.dataset.codes)
    files = {part: in_part(assignments, part) for assignments in [read_split(run / SPLIT, data)] for part in Part}
    network = restore_network(run / WEIGHTS, config.options.alpha, len(codes))
    model = convert_to_int8(network, _representative(config, data, files[Part.TRAIN]))
    channels_count = network.output[MIDDLE_MAP].shape[-1]
    contents = {MODEL: model, OOD: to_npz(unknown_yet(description_size(channels_count))), GOLDEN: b"", CARD: b""}
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "uncalibrated"
        _write(draft, _manifest(identity, config, contents), contents)
        classifier = Classifier(load_bundle(draft))
        validation = read_files(data, files[Part.VALIDATION])
        familiarity = _familiarity(classifier, read_files(data, files[Part.TRAIN]), config.options.seed)
        contents[OOD] = to_npz(familiarity)
        calibration = _calibrate(classifier, familiarity, validation, truth_of(files[Part.VALIDATION], codes))

        draft = Path(folder) / "calibrated"
        _write(draft, _manifest(identity, config, contents, calibration), contents)
        contents[GOLDEN] = _golden(Path(folder), Classifier(load_bundle(draft)))
        figures = {
            part: evaluate(str(draft), data, run / SPLIT, part, wanted)
            for part, wanted in (
                (Part.VALIDATION, Wanted()),
                (Part.TEST, Wanted(shifts=True, foreign=tuple(foreign))),
            )
        }
    manifest = _manifest(identity, config, contents, calibration)
    contents[CARD] = render_card(manifest, config, figures[Part.VALIDATION], figures[Part.TEST]).encode()
    _write(out, _manifest(identity, config, contents, calibration), contents)
    Classifier(load_bundle(out)).verify_golden()
    return figures[Part.TEST].figures


def _familiarity(classifier: Classifier, fields: NDArray[np.uint8], seed: int) -> Familiarity:
    """Of training fields, uint8 RGB (n, 224, 224, 3), each varied several times."""
    descriptions = [
        describe_fields(
            classifier, fields, f"What is familiar, {number + 1} of {VARIANTS_COUNT}", change=vary, seed=each
        )
        for number, each in enumerate(_seeds(seed, VARIANTS_COUNT))
    ]
    return fit_familiarity(np.concatenate(descriptions))


def _calibrate(
    classifier: Classifier, familiarity: Familiarity, fields: NDArray[np.uint8], truth: NDArray[np.int64]
) -> _Calibration:
    """Temperature and thresholds by validation fields, uint8 RGB (n, 224, 224, 3), and their classes (n,)."""
    logits = judge_fields(classifier, fields)
    temperature = fit_temperature(logits, truth)
    clean = familiarity.distances(describe_fields(classifier, fields, "Validation, as it is"))
    shifted = [
        familiarity.distances(
            describe_fields(classifier, fields, "Validation, shifted", change=shift_moderately, seed=seed)
        )
        for seed in range(SHIFTED_COUNT)
    ]
    return _Calibration(
        temperature,
        choose_threshold(softmax(logits, temperature)),
        choose_unfamiliarity_limit(clean, np.concatenate(shifted)),
    )


def _seeds(seed: int, count: int) -> list[int]:
    """Seeds that hang on ``seed`` and differ."""
    return [int(each) for each in np.random.SeedSequence(seed).generate_state(count)]


def _representative(config: RunConfig, data: Path, files: list[ImageFile]) -> NDArray[np.uint8]:
    """A few hundred preprocessed training images, drawn by the run's seed."""
    rng = np.random.default_rng(config.options.seed)
    chosen = rng.permutation(len(files))[:REPRESENTATIVE_COUNT]
    fields = read_files(data, [files[index] for index in chosen])
    return np.stack([preprocess(field, config.options.preprocessing, config.options.denoise) for field in fields])


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
