"""Judges the images that a fold held out, through its int8 file and the agent's analyzer."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_agent.cameras.frame import Encoded
from trainer.augmentation.moderate_shift import shift_moderately
from trainer.augmentation.variants import vary_all
from trainer.cross_validation.results import FoldResult, HeldOutImage
from trainer.data.dataset import read_bytes, read_files
from trainer.data.split import Assignment, Part, in_part
from trainer.evaluation.bundle_analyzer import BundleAnalyzer
from trainer.evaluation.evaluate import class_indices
from trainer.evaluation.options import DRAWS
from trainer.export.bundle_files import uncalibrated_contents
from trainer.export.calibrated_draft import calibrate_draft
from trainer.export.identity import BundleIdentity
from trainer.export.quantization import read_model
from trainer.training.run import read_config


def judge_fold(fold: int, run: Path, data: Path, assignments: Sequence[Assignment], seed: int) -> FoldResult:
    """Calibrate the quantized ``run`` and judge the test images. Raises ``TrainerError`` or ``BundleError``."""
    config = read_config(run)
    files = in_part(assignments, Part.TEST)
    truth = class_indices(files, config.dataset.codes)
    with tempfile.TemporaryDirectory() as temporary:
        contents = uncalibrated_contents(read_model(run))
        identity = BundleIdentity(f"fold-{fold}", "0.0.0")
        draft = calibrate_draft(Path(temporary), identity, config, contents, data, assignments)
        analyzer = BundleAnalyzer(draft.classifier)
        clean = analyzer.predict([Encoded(read_bytes(data, file)) for file in files], "Judging images")
        fields = read_files(data, files, config.dataset.geometry)
        shifted = [
            analyzer.predict_fields(
                vary_all(fields, shift_moderately, (seed, number)), f"Shifted, {number + 1} of {DRAWS}"
            )
            for number in range(DRAWS)
        ]
    right = np.sum([each.top == truth for each in shifted], axis=0)
    answered = np.sum([each.answered for each in shifted], axis=0)
    return FoldResult(
        fold=fold,
        training_count=len(in_part(assignments, Part.TRAIN)),
        validation_count=len(in_part(assignments, Part.VALIDATION)),
        model_sha256=draft.classifier.manifest.files["model.tflite"],
        draws=DRAWS,
        images=tuple(
            HeldOutImage(
                path=file.path,
                label=file.label,
                probabilities=tuple(clean.probabilities[index].tolist()),
                reason=clean.reasons[index],
                shifted_right_count=int(right[index]),
                shifted_answered_count=int(answered[index]),
            )
            for index, file in enumerate(files)
        ),
    )
