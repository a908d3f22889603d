"""'trainer bundle': from a quantized run to a bundle that the agent loads, with its figures on its cards."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from edge_agent.inference import Classifier, load_bundle
from edge_agent.inference.bundle import CARD, GOLDEN
from edge_agent.inference.proof import ProofLimits, unproven_reasons
from trainer.data.split import Part, held_out, in_part, read_split
from trainer.errors import BundleUnproven, RunError
from trainer.evaluation.appearance import measure_training_appearance
from trainer.evaluation.audit import Audit
from trainer.evaluation.bundle_analyzer import BundleAnalyzer
from trainer.evaluation.evaluate import class_indices, evaluate
from trainer.evaluation.figures import Figures
from trainer.evaluation.foreign import list_foreign
from trainer.evaluation.options import EvaluationOptions
from trainer.evaluation.reference import measure_reference
from trainer.export.bundle_files import (
    DATA_CARD,
    Looks,
    build_manifest,
    uncalibrated_contents,
    write_bundle,
)
from trainer.export.calibrated_draft import calibrate_draft
from trainer.export.golden import golden_vectors
from trainer.export.identity import BundleIdentity
from trainer.export.quantization import read_compiled, read_model
from trainer.files import holds_files, write_json
from trainer.reports.card import render_card
from trainer.reports.data_card import check_audit, render_data_card
from trainer.training.run import EVALUATION, SPLIT, read_config, read_duration


def bundle(
    run: Path,
    data: Path,
    out: Path,
    identity: BundleIdentity,
    *,
    audit: Audit | None = None,
    foreign: Sequence[Path] = (),
    provisional: bool = False,
) -> tuple[Figures, tuple[str, ...]]:
    """Calibrate a quantized run, measure it, and write the bundle to ``out``.

    Returns the figures on the test images, and what the record lacks for the agent to use the bundle. Nothing may be
    lacking, unless ``provisional`` allows such a bundle.

    Familiarity, temperature and thresholds are found through the int8 file, not the float network, because they are
    used with the file: familiarity is fitted on training images, everything else is chosen on validation images.
    ``audit`` is an audit of the same images, for the cards; ``foreign`` are folders of images that must be refused,
    measured only for the card. All arguments are checked before anything is computed. Raises ``TrainerError``, such as
    ``BundleUnproven``, or ``BundleError``.
    """
    if holds_files(out):
        raise RunError(f"{out} is not empty.", remedy="Remove the old bundle, or name another --out.")
    config = read_config(run)
    check_audit(audit, config)
    duration = read_duration(run)
    contents = {**uncalibrated_contents(read_model(run)), **read_compiled(run)}
    assignments = read_split(run / SPLIT, data)
    for unlike in foreign:
        list_foreign(unlike)
    files = {part: in_part(assignments, part) for part in Part}
    for each in files.values():
        class_indices(each, list(config.dataset.codes))
    contents[DATA_CARD] = render_data_card(config, assignments, audit).encode()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        draft = calibrate_draft(folder, identity, config, contents, data, assignments)
        contents, calibration = draft.contents, draft.calibration
        contents[GOLDEN] = golden_vectors(folder, draft.classifier)
        analyzer = BundleAnalyzer(draft.classifier)
        looks = Looks(
            measure_training_appearance(analyzer, data, files[Part.TRAIN]),
            measure_reference(analyzer, data, held_out(assignments)),
        )
        figures = {
            part: evaluate(str(draft.folder), data, run / SPLIT, part, options)
            for part, options in (
                (Part.VALIDATION, EvaluationOptions()),
                (Part.TEST, EvaluationOptions(shifts=True, foreign=tuple(foreign))),
            )
        }
    evidence = figures[Part.TEST].evidence
    manifest = build_manifest(identity, config, contents, calibration, evidence, looks)
    lacking = unproven_reasons(manifest.labels, manifest.evidence, ProofLimits())
    if lacking and not provisional:
        raise BundleUnproven(f"{identity.name} is not shown to be right often enough. {' '.join(lacking)}")
    card = render_card(manifest, config, duration, figures[Part.VALIDATION], figures[Part.TEST], audit)
    contents[CARD] = card.encode()
    write_bundle(out, build_manifest(identity, config, contents, calibration, evidence, looks), contents)
    Classifier(load_bundle(out)).verify_golden()
    write_json(run / EVALUATION, figures[Part.TEST])
    return figures[Part.TEST].figures, lacking
