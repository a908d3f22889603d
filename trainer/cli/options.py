"""Options that several commands have, and checks of their values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from trainer.spec import ALPHAS, IMAGENET


def one_of(choices: Iterable[object]) -> Callable[[str], str]:
    """A check that a value is one of ``choices``."""
    names = [str(choice) for choice in choices]

    def check(value: str) -> str:
        if value not in names:
            raise typer.BadParameter(f"'{value}' is not one of {', '.join(names)}.")
        return value

    return check


def each_one_of(choices: Iterable[object]) -> Callable[[list[str] | None], list[str] | None]:
    """A check that every value of a repeated option is one of ``choices``."""
    check = one_of(choices)
    return lambda values: None if values is None else [check(value) for value in values]


def parse_pairs(values: Iterable[str], option: str, names: Iterable[object]) -> dict[str, str]:
    """Parse NAME=VALUE into a dictionary; each name must be one of ``names`` and given once."""
    allowed = [str(name) for name in names]
    pairs: dict[str, str] = {}
    for value in values:
        name, _, rest = value.partition("=")
        if not (name and rest):
            raise typer.BadParameter(f"'{value}' is not of the form NAME=VALUE.", param_hint=option)
        if name not in allowed:
            raise typer.BadParameter(f"'{name}' is not one of {', '.join(allowed)}.", param_hint=option)
        if name in pairs:
            raise typer.BadParameter(f"'{name}' is given twice.", param_hint=option)
        pairs[name] = rest
    return pairs


MAX_SEED = 4_000_000_000
"""What scikit-learn and Keras take ends at 2**32 - 1; some trainings use the seeds that follow."""

DataOption = Annotated[Path, typer.Option("--data", help="Folder with one folder of images per class.")]
DescriptionOption = Annotated[
    str | None,
    typer.Option(help="Description of the data: all4, cnmc, or the path of a TOML file. Default: its dataset.toml."),
]
TableOption = Annotated[
    Path | None,
    typer.Option(help="CSV with path (relative to the CSV), label and, if known, group, instead of class folders."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
SeedOption = Annotated[int, typer.Option(min=0, max=MAX_SEED, help="The same seed gives the same figures.")]
ForeignOption = Annotated[
    list[Path] | None, typer.Option(help="Folder of images that must be refused. May be given several times.")
]
FiguresOption = Annotated[Path | None, typer.Option("--out", help="Folder for the JSON and the plots as PNG.")]
AlphaOption = Annotated[
    str, typer.Option(callback=one_of(ALPHAS), help=f"Width of MobileNetV2: {', '.join(map(str, ALPHAS))}.")
]
WeightsOption = Annotated[str, typer.Option(help=f"ImageNet weights: an .npz file, or '{IMAGENET}' to download them.")]
TestShareOption = Annotated[float, typer.Option(min=0.01, max=0.4, help="Share of the images for the test.")]
ValidationShareOption = Annotated[float, typer.Option(min=0.01, max=0.4, help="Share of the images for validation.")]
CellsDataOption = Annotated[Path, typer.Option("--data", help="Folder that the paths in sources.toml are below.")]
SourcesOption = Annotated[
    Path | None, typer.Option(help="TOML file that describes the laboratories. Default: the shipped sources.toml.")
]
ProcessesOption = Annotated[int, typer.Option(min=1, max=64, help="Processes that read pictures.")]
