"""Trains and converts the model of one fold by the recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras

from trainer.cross_validation.folds import VALIDATION_SHARE
from trainer.cross_validation.plan import Plan
from trainer.export.quantization import quantize
from trainer.training.options import TrainOptions
from trainer.training.run import MODEL, WEIGHTS
from trainer.training.train import train


def steps_count(plan: Plan) -> int:
    """Trainings of one fold."""
    return plan.recipe.teachers + 1


def train_fold(
    folder: Path, data: Path, description: str | None, split: Path, plan: Plan, announce: Callable[[str], None]
) -> Path:
    """Train teachers and model into ``folder``, convert the model, and return its run; what is finished is kept.

    ``announce`` is told what comes next. Raises ``TrainerError``.
    """
    recipe = plan.recipe

    def trained(run: Path, seed: int, variants: int, epochs: int, teachers: tuple[Path, ...]) -> Path:
        if not (run / WEIGHTS).exists():
            train(
                TrainOptions(
                    data=data.as_posix(),
                    out=run.as_posix(),
                    description=description,
                    alpha=recipe.alpha,
                    weights=recipe.weights,
                    preprocessing=recipe.preprocessing,
                    denoise=recipe.denoise,
                    seed=seed,
                    test_share=1 / plan.folds,
                    validation_share=VALIDATION_SHARE,
                    variants=variants,
                    epochs=epochs,
                    teacher=tuple(each.as_posix() for each in teachers),
                    split=split.as_posix(),
                )
            )
            # Keras would otherwise keep what it built for every training until the process ends.
            keras.utils.clear_session()
        return run

    teachers = []
    for number in range(recipe.teachers):
        announce(f"teacher {number + 1} of {recipe.teachers}")
        run = folder / f"teacher-{number + 1}"
        teachers.append(trained(run, plan.seed + number, recipe.teacher_variants, recipe.teacher_epochs, teachers=()))
    announce("the model")
    run = trained(folder / "model", plan.seed, recipe.variants, recipe.epochs, tuple(teachers))
    if not (run / MODEL).exists():
        quantize(run, data)
    return run
