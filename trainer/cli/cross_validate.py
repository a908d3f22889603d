"""``trainer cross-validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.vision.preprocessing import DENOISERS, PREPROCESSINGS
from trainer.cli.options import (
    AlphaOption,
    DataOption,
    DescriptionOption,
    JsonOption,
    SeedOption,
    WeightsOption,
    one_of,
)
from trainer.cli.output import results
from trainer.cross_validation.plan import Plan, Recipe
from trainer.data.split import hash_of_split
from trainer.networks.quiet_import import import_keras


def cross_validate(
    data: DataOption,
    split: Annotated[
        Path, typer.Option(help="Split (CSV) of all images. It says which images are alike; its parts do not count.")
    ],
    weights: WeightsOption,
    out: Annotated[
        Path, typer.Option(help="Folder for runs and figures; the same command resumes a killed cross-validation.")
    ],
    description: DescriptionOption = None,
    folds: Annotated[int, typer.Option(min=3, help="Models, each judged on the images that it was not given.")] = 5,
    alpha: AlphaOption = "1.0",
    preprocessing: Annotated[
        str, typer.Option(callback=one_of(PREPROCESSINGS), help=f"{', '.join(PREPROCESSINGS)}.")
    ] = "rgb@1",
    denoise: Annotated[str, typer.Option(callback=one_of(DENOISERS), help=f"{', '.join(DENOISERS)}.")] = "median3",
    variants: Annotated[int, typer.Option(min=1, help="Augmented variants of each training image.")] = 10,
    epochs: Annotated[int, typer.Option(min=0, help="Upper limit for each model.")] = 24,
    teachers: Annotated[int, typer.Option(min=0, help="Networks that teach each model.")] = 2,
    teacher_variants: Annotated[int, typer.Option(min=1, help="As --variants, for the teachers.")] = 16,
    teacher_epochs: Annotated[int, typer.Option(min=0, help="As --epochs, for the teachers.")] = 20,
    seed: SeedOption = 1,
    *,
    as_json: JsonOption = False,
) -> None:
    """Train a recipe once per fold and judge every image by the int8 model that saw neither it nor its like.

    The defaults are the recipe of 'accurate'. With five folds that takes over four times as long as one training.
    """
    import_keras()
    from trainer.cross_validation.cross_validate import cross_validate as cross_validate_all
    from trainer.cross_validation.table import show_cross_validation

    plan = Plan(
        split_sha256=hash_of_split(split),
        folds=folds,
        seed=seed,
        recipe=Recipe(
            weights=weights,
            alpha=float(alpha),
            preprocessing=preprocessing,
            denoise=denoise,
            variants=variants,
            epochs=epochs,
            teachers=teachers,
            teacher_variants=teacher_variants,
            teacher_epochs=teacher_epochs,
        ),
    )
    found = cross_validate_all(data, description, split, out, plan)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        show_cross_validation(found, results())
