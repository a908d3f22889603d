"""``trainer appearance``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.options import DataOption
from trainer.progress import console


def appearance(
    bundle: Annotated[str, typer.Option(help="Name of a shipped bundle, or a bundle's folder.")],
    data: DataOption,
    split: Annotated[Path, typer.Option(help="The split that the bundle was trained with (CSV).")],
) -> None:
    """Measure how the training images of a bundle look, and what it says of the others, and write it into its manifest.

    From this the agent says how an unfamiliar field differs, and notices when fields drift away. 'trainer bundle' does
    so by itself; this is for bundles that were made before.
    """
    from trainer.export.record import record_appearance

    manifest = record_appearance(bundle, data, split)
    if manifest.appearance is not None:
        console.print(
            f"{manifest.name} {manifest.version}: {len(manifest.appearance.measures)} measures of "
            f"{manifest.appearance.images_count} training images; "
            f"{0 if manifest.reference is None else manifest.reference.images_count} others were judged."
        )
