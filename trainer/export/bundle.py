"""'trainer bundle': from a quantized run to a bundle that the agent loads, with its figures on its cards."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import CARD, GOLDEN, OOD
from trainer.data.dataset import read_files
from trainer.data.split import Part, in_part, read_split
from trainer.errors import RunError
from trainer.evaluation.audit import Audit
from trainer.evaluation.evaluate import EvaluationOptions, class_indices, evaluate
from trainer.evaluation.figures import Figures
from trainer.export.bundle_files import (
    DATA_CARD,
    BundleIdentity,
    build_manifest,
    load_draft,
    uncalibrated_contents,
    write_bundle,
)
from trainer.export.calibrate import calibrate, fit_bundle_familiarity
from trainer.export.golden import golden_vectors
from trainer.export.quantization import read_model
from trainer.files import write_json
from trainer.reports.card import render_card
from trainer.reports.data_card import check_audit, render_data_card
from trainer.training.familiarity import to_npz
from trainer.training.run import EVALUATION, SPLIT, read_config, read_duration


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
    contents = uncalibrated_contents(read_model(run))
    assignments = read_split(run / SPLIT, data)
    files = {part: in_part(assignments, part) for part in Part}
    codes = list(config.dataset.codes)
    contents[DATA_CARD] = render_data_card(config, assignments, audit).encode()
    with tempfile.TemporaryDirectory() as folder:
        classifier = load_draft(Path(folder) / "uncalibrated", identity, config, contents)
        validation = read_files(data, files[Part.VALIDATION])
        familiarity = fit_bundle_familiarity(classifier, read_files(data, files[Part.TRAIN]), config.options.seed)
        contents[OOD] = to_npz(familiarity)
        calibration = calibrate(classifier, familiarity, validation, class_indices(files[Part.VALIDATION], codes))

        draft = Path(folder) / "calibrated"
        calibrated = load_draft(draft, identity, config, contents, calibration)
        contents[GOLDEN] = golden_vectors(Path(folder), calibrated)
        figures = {
            part: evaluate(str(draft), data, run / SPLIT, part, wanted)
            for part, wanted in (
                (Part.VALIDATION, EvaluationOptions()),
                (Part.TEST, EvaluationOptions(shifts=True, foreign=tuple(foreign))),
            )
        }
    manifest = build_manifest(identity, config, contents, calibration)
    card = render_card(manifest, config, read_duration(run), figures[Part.VALIDATION], figures[Part.TEST], audit)
    contents[CARD] = card.encode()
    write_bundle(out, build_manifest(identity, config, contents, calibration), contents)
    Classifier(load_bundle(out)).verify_golden()
    write_json(run / EVALUATION, figures[Part.TEST])
    return figures[Part.TEST].figures
