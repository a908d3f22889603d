"""'trainer cross-validate': trains a recipe once per fold and judges every image by the model that never saw its like.

The figures of one split rest on its few hundred test images, so their interval is wider than the differences between
recipes. Here all images count. The recipe is judged, not one of the models: each is trained on fewer images than a
shipped one.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from edge_agent.errors import ImageError
from trainer.cross_validation.figures import pool_folds
from trainer.cross_validation.folds import fold_splits
from trainer.cross_validation.judging import judge_fold
from trainer.cross_validation.plan import Plan
from trainer.cross_validation.results import CrossValidated, FoldResult
from trainer.cross_validation.table import CROSS_VALIDATION, TABLE, to_markdown
from trainer.cross_validation.training import train_fold, trainings_count
from trainer.data.dataset import read_field
from trainer.data.description import Description, load_description
from trainer.data.listing import list_images
from trainer.data.split import Assignment, read_split, write_split
from trainer.errors import DataError
from trainer.evaluation.evaluate import class_indices
from trainer.files import check_output_folder, make_folder, replacing, write_json
from trainer.networks.backbone import load_backbone
from trainer.plans import start_or_resume
from trainer.progress import console


def cross_validate(data: Path, description: str | None, split: Path, out: Path, plan: Plan) -> CrossValidated:
    """Train and judge every fold, one after the other, and pool them.

    Finished folds, trainings and epochs are kept in ``out``, so that a killed cross-validation can be resumed. The
    images, and which of them are alike, come from ``split``, whose parts are ignored. All arguments are checked before
    anything is computed. Raises ``TrainerError`` or ``BundleError``.
    """
    check_output_folder(out)
    described = load_description(description, data)
    assignments = read_split(split, data)
    class_indices([each.file for each in assignments], described.codes)
    _check_complete(data, described, split, assignments)
    splits = fold_splits(assignments, plan.folds, plan.seed)
    load_backbone(plan.recipe.alpha, plan.recipe.weights)
    start_or_resume(out, plan, "a cross-validation")
    results = [
        _result(number, out / f"fold-{number}", data, description, fold, plan)
        for number, fold in enumerate(splits, start=1)
    ]
    found = pool_folds(results, assignments, described, plan)
    write_json(out / CROSS_VALIDATION, found)
    with replacing(out / TABLE) as file:
        file.write(f"{to_markdown(found)}\n".encode())
    return found


def _result(
    number: int, folder: Path, data: Path, description: str | None, assignments: Sequence[Assignment], plan: Plan
) -> FoldResult:
    path = folder.with_suffix(".json")
    # A damaged result is measured again.
    with suppress(OSError, ValidationError):
        return FoldResult.model_validate_json(path.read_bytes())
    trainings = trainings_count(plan)

    def announce(training: int, what: str) -> None:
        begun = (number - 1) * trainings + training
        console.print(f"Fold {number} of {plan.folds}: {what} (training {begun} of {plan.folds * trainings})")

    make_folder(folder)
    split = folder / "split.csv"
    write_split(split, assignments)
    run = train_fold(folder, data, description, split, plan, announce)
    result = judge_fold(number, run, data, assignments, plan.seed)
    write_json(path, result)
    return result


def _check_complete(data: Path, described: Description, split: Path, assignments: Sequence[Assignment]) -> None:
    """Raise ``DataError`` if there is an image that the split lacks; files that are not images do not count."""
    known = {each.file.path for each in assignments}
    for listed in list_images(data, described):
        if listed.path not in known:
            with suppress(ImageError):
                read_field(data / listed.path, described.geometry)
                raise DataError(
                    f"{split} lacks {listed.path}, which is in {data}.", remedy="Make a new split of these images."
                )
