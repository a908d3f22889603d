"""Trains and converts the model of one fold by the recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras

from trainer.cross_validation.folds import VALIDATION_SHARE
from trainer.cross_validation.plan import Plan, Recipe
from trainer.export.quantization import quantize
from trainer.training.options import TrainOptions
from trainer.training.run import MODEL, WEIGHTS
from trainer.training.train import train


@dataclass(frozen=True, slots=True)
class _Training:
    what: str
    run: Path
    seed: int
    variants: int
    epochs: int
    teachers: tuple[Path, ...] = ()


def trainings_count(plan: Plan) -> int:
    """The number of trainings for one fold."""
    return plan.recipe.teachers + 1


def train_fold(
    folder: Path, data: Path, description: str | None, split: Path, plan: Plan, announce: Callable[[int, str], None]
) -> Path:
    """Train teachers and model into ``folder``, convert the model, and return its run; finished trainings are kept.

    ``announce`` is called with the number of each training that begins, from 1, and what it trains. Raises
    ``TrainerError``.
    """
    for number, each in enumerate(_trainings(folder, plan.recipe, plan.seed), start=1):
        if not (each.run / WEIGHTS).exists():
            announce(number, each.what)
            train(
                TrainOptions(
                    data=data.as_posix(),
                    out=each.run.as_posix(),
                    description=description,
                    alpha=plan.recipe.alpha,
                    weights=plan.recipe.weights,
                    preprocessing=plan.recipe.preprocessing,
                    denoise=plan.recipe.denoise,
                    seed=each.seed,
                    test_share=1 / plan.folds,
                    validation_share=VALIDATION_SHARE,
                    variants=each.variants,
                    epochs=each.epochs,
                    teacher=tuple(teacher.as_posix() for teacher in each.teachers),
                    split=split.as_posix(),
                )
            )
            # Otherwise, Keras would keep what it built for every training until the process ends.
            keras.utils.clear_session()
    model = folder / "model"
    if not (model / MODEL).exists():
        quantize(model, data)
    return model


def _trainings(folder: Path, recipe: Recipe, seed: int) -> list[_Training]:
    """The trainings of one fold in their order: the teachers, then the model."""
    teachers = [
        _Training(
            f"teacher {number} of {recipe.teachers}",
            folder / f"teacher-{number}",
            seed + number - 1,
            recipe.teacher_variants,
            recipe.teacher_epochs,
        )
        for number in range(1, recipe.teachers + 1)
    ]
    taught_by = tuple(each.run for each in teachers)
    model = _Training("the model", folder / "model", seed, recipe.variants, recipe.epochs, taught_by)
    return [*teachers, model]
