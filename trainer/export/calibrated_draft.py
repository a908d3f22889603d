"""An unfinished bundle that refuses and answers as the finished bundle will."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.inference import Classifier
from edge_agent.inference.bundle import OOD
from trainer.data.dataset import read_files
from trainer.data.split import Assignment, Part, in_part
from trainer.evaluation.evaluate import class_indices
from trainer.export.bundle_files import Calibration, load_draft
from trainer.export.calibrate import calibrate, fit_bundle_familiarity
from trainer.export.identity import BundleIdentity
from trainer.training.familiarity import to_npz
from trainer.training.run import RunConfig


@dataclass(frozen=True, slots=True, eq=False)
class CalibratedDraft:
    """An unfinished bundle in ``folder``. Its ``contents`` by file name lack golden vectors and cards."""

    folder: Path
    contents: dict[str, bytes]
    calibration: Calibration
    classifier: Classifier


def calibrate_draft(
    folder: Path,
    identity: BundleIdentity,
    config: RunConfig,
    contents: dict[str, bytes],
    data: Path,
    assignments: Sequence[Assignment],
) -> CalibratedDraft:
    """Fit familiarity to the training images; choose temperature and thresholds on the validation images.

    This uses the int8 file in ``contents``, because the results are used with it. Raises ``TrainerError`` or
    ``BundleError``.
    """
    uncalibrated = load_draft(folder / "uncalibrated", identity, config, contents)
    geometry = config.dataset.geometry
    held_out = in_part(assignments, Part.VALIDATION)
    truth = class_indices(held_out, list(config.dataset.codes))
    validation = read_files(data, held_out, geometry)
    training = read_files(data, in_part(assignments, Part.TRAIN), geometry)
    familiarity = fit_bundle_familiarity(uncalibrated, training, config.options.seed)
    calibration = calibrate(uncalibrated, familiarity, validation, truth)
    fitted = {**contents, OOD: to_npz(familiarity)}
    draft = folder / "calibrated"
    return CalibratedDraft(draft, fitted, calibration, load_draft(draft, identity, config, fitted, calibration))
