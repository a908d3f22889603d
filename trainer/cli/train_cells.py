"""``trainer train-cells``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.options import MAX_SEED, WeightsOption
from trainer.networks.quiet_import import import_keras


def train_cells(
    data: Annotated[
        Path, typer.Option(help="The folder that the paths in the description of the laboratories are below.")
    ],
    out: Annotated[Path, typer.Option(help="New folder for the run.")],
    weights: WeightsOption,
    cache: Annotated[
        Path, typer.Option(help="Folder of what many trainings share; about a gigabyte. May be removed afterwards.")
    ],
    sources: Annotated[
        Path | None,
        typer.Option(help="Description of the laboratories. Default: trainer/cells/laboratories/sources.toml."),
    ] = None,
    leave_out: Annotated[
        str | None, typer.Option(help="A laboratory that is not trained with: all its cells are for testing.")
    ] = None,
    apart: Annotated[
        str, typer.Option(help="What is never both in training and test: 'patients', or 'pictures' alone.")
    ] = "patients",
    test_share: Annotated[
        float, typer.Option(min=0, max=0.89, help="Share of the cells for testing, if no laboratory is left out.")
    ] = 0.2,
    validation_share: Annotated[float, typer.Option(min=0.01, max=0.49, help="Share of the cells for choices.")] = 0.1,
    variants: Annotated[int, typer.Option(min=1, help="Varied windows of each cell.")] = 6,
    epochs: Annotated[int, typer.Option(min=1, help="Passes through the training cells.")] = 12,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of parts, variation and training.")] = 1,
) -> None:
    """Train the network of a cells bundle and write the run.

    If it is killed or the
    disk fills up, the same command resumes after the last epoch.
    """
    from trainer.cells.training.options import Apart, CellsOptions

    if apart not in set(Apart):
        raise typer.BadParameter(f"'{apart}' is not one of {', '.join(Apart)}.", param_hint="--apart")
    import_keras()
    from trainer.cells.training.train import train_cells as train

    train(
        CellsOptions(
            data=data.as_posix(),
            out=out.as_posix(),
            weights=weights,
            sources=None if sources is None else sources.as_posix(),
            cache=cache.as_posix(),
            leave_out=leave_out,
            apart=Apart(apart),
            test_share=test_share,
            validation_share=validation_share,
            variants=variants,
            epochs=epochs,
            seed=seed,
        )
    )
