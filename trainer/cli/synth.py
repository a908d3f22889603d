"""``trainer synth``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.progress import console


def synth(
    out: Annotated[Path, typer.Option(help="New folder for the class folders.")],
    per_class: Annotated[int, typer.Option(min=3, help="Images per class.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same images.")] = 1,
) -> None:
    """Draw a data set of synthetic smears."""
    from trainer.data.synthesis import synthesise

    description = synthesise(out, per_class, seed)
    console.print(f"{per_class} images of each of {len(description.classes)} classes drawn into {out}.")
