"""'trainer quantize': from a run to a bundle that the agent loads, with its figures on its card."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
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
from edge_agent.inference.bundle import CARD, GOLDEN, MANIFEST, MODEL
from edge_agent.inference.classifier import softmax
from edge_agent.vision.preprocessing import preprocess
from trainer.calibration import choose_threshold, fit_temperature
from trainer.card import render_card
from trainer.conversion import convert_to_int8, input_quantization
from trainer.dataset import ImageFile, read_files
from trainer.errors import RunError
from trainer.evaluation import truth_of
from trainer.judging import judge_fields, prepare
from trainer.metrics import Figures, measure
from trainer.network import restore_network
from trainer.run import SPLIT, WEIGHTS, RunConfig, read_config
from trainer.spec import CLASS_ACTIVATION_MAP, FEATURES, INPUT_SIZE_PX, LOGITS
from trainer.split import Part, in_part, read_split

REPRESENTATIVE_COUNT = 300
"""Training images from which the ranges of the activations are taken."""

_HOW = "test {test:g} and validation {validation:g} of the images, stratified by class; overlapping fields on one side"


@dataclass(frozen=True, slots=True)
class BundleIdentity:
    """What a bundle is called."""

    name: str
    version: str


def quantize(run: Path, data: Path, out: Path, identity: BundleIdentity) -> Figures:
    """Convert, calibrate, measure, and write the bundle to ``out``. Returns the figures on the test images.

    Temperature and threshold are chosen on the validation images through the int8 file, not the float network,
    because the file is what they serve. Raises ``TrainerError`` or ``BundleError``.
    """
    if out.exists() and any(out.iterdir()):
        raise RunError(f"{out} is not empty.", remedy="Remove the old bundle, or name another --out.")
    config = read_config(run)
    options, codes = config.options, list(config.dataset.codes)
    files = {part: in_part(assignments, part) for assignments in [read_split(run / SPLIT)] for part in Part}
    network = restore_network(run / WEIGHTS, options.alpha, len(codes))
    model = convert_to_int8(network, _representative(config, data, files[Part.TRAIN]))
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder)
        contents = {MODEL: model, GOLDEN: b"", CARD: b""}
        _write(draft, _manifest(identity, config, model, contents), contents)
        classifier = Classifier(load_bundle(draft))
        golden = _golden(draft, classifier)
        logits = {
            part: judge_fields(classifier, read_files(data, files[part])) for part in (Part.VALIDATION, Part.TEST)
        }
    truth = {part: truth_of(files[part], codes) for part in logits}
    temperature = fit_temperature(logits[Part.VALIDATION], truth[Part.VALIDATION])
    threshold = choose_threshold(softmax(logits[Part.VALIDATION], temperature))
    labels = tuple(each.label for each in config.dataset.classes)
    figures = {part: measure(softmax(logits[part], temperature), truth[part], labels, threshold) for part in logits}

    contents = {MODEL: model, GOLDEN: golden, CARD: b""}
    manifest = _manifest(identity, config, model, contents, temperature, threshold)
    card = render_card(manifest, config, figures[Part.VALIDATION], figures[Part.TEST], len(model))
    contents[CARD] = card.encode()
    _write(out, _manifest(identity, config, model, contents, temperature, threshold), contents)
    Classifier(load_bundle(out)).verify_golden()
    return figures[Part.TEST]


def _representative(config: RunConfig, data: Path, files: list[ImageFile]) -> NDArray[np.uint8]:
    """A few hundred preprocessed training images, drawn by the run's seed."""
    rng = np.random.default_rng(config.options.seed)
    chosen = rng.permutation(len(files))[:REPRESENTATIVE_COUNT]
    fields = read_files(data, [files[index] for index in chosen])
    return np.stack([preprocess(field, config.options.preprocessing, config.options.denoise) for field in fields])


def _golden(folder: Path, classifier: Classifier) -> bytes:
    """``golden.npz``: one drawn smear of each kind, as drawn, as preprocessed, and the logits it gives here."""
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
    logits = np.stack([classifier.classify(image).logits for image in images])
    path = folder / GOLDEN
    np.savez_compressed(path, field=fields, image=images, logits=logits.astype(np.float32))
    return path.read_bytes()


def _manifest(
    identity: BundleIdentity,
    config: RunConfig,
    model: bytes,
    contents: Mapping[str, bytes],
    temperature: float = 1.0,
    threshold: float = 0.0,
) -> Manifest:
    options, dataset = config.options, config.dataset
    scale, zero_point = input_quantization(model)
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
        outputs=OutputTensors(logits=LOGITS, class_activation_map=CLASS_ACTIVATION_MAP, features=FEATURES),
        temperature=temperature,
        thresholds=Thresholds(min_confidence_ratio=threshold),
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
