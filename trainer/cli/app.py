"""The Typer application that the trainer's commands are added to, and the options that several of them have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trainer.spec import ALPHAS, IMAGENET

FILE_WIDTH = 160

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From class folders to a bundle that the agent can use.",
)


def one_of(choices: Iterable[object]) -> Callable[[str], str]:
    """A check that a value is one of ``choices``."""
    names = [str(choice) for choice in choices]

    def check(value: str) -> str:
        if value not in names:
            raise typer.BadParameter(f"'{value}' is not one of {', '.join(names)}.")
        return value

    return check


DataOption = Annotated[Path, typer.Option("--data", help="Folder with one folder of images per class.")]
DescriptionOption = Annotated[
    str | None, typer.Option(help="What the data are: all4, cnmc, or a file. Default: dataset.toml in the data.")
]
TableOption = Annotated[
    Path | None, typer.Option(help="CSV of path (relative to it), label and, where known, group, in place of folders.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
SeedOption = Annotated[int, typer.Option(min=0, help="The same seed gives the same figures.")]
ForeignOption = Annotated[
    list[Path] | None, typer.Option(help="Folder of images that must be refused. May be given several times.")
]
FiguresOption = Annotated[Path | None, typer.Option("--out", help="Folder for the JSON and figures as PNG.")]
AlphaOption = Annotated[
    str, typer.Option(callback=one_of(ALPHAS), help=f"Width of MobileNetV2: {', '.join(map(str, ALPHAS))}.")
]
WeightsOption = Annotated[str, typer.Option(help=f"ImageNet weights: an .npz file, or '{IMAGENET}' to download them.")]
TestShareOption = Annotated[float, typer.Option(min=0.01, max=0.4, help="Share of the images kept for the test.")]
ValidationShareOption = Annotated[float, typer.Option(min=0.01, max=0.4, help="Share kept to choose by.")]


def stdout() -> Console:
    """As wide as the terminal; in a file, wide enough for the tables."""
    stdout = Console()
    return stdout if stdout.is_terminal else Console(width=FILE_WIDTH)
