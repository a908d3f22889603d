"""``trainer evidence``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.options import DataOption, SeedOption
from trainer.progress import console


def evidence(
    bundle: Annotated[str, typer.Option(help="Name of a shipped bundle, or a bundle's folder.")],
    data: DataOption,
    split: Annotated[Path, typer.Option(help="The split that the bundle was trained with (CSV).")],
    seed: SeedOption = 0,
) -> None:
    """Measure a bundle on the test images of its split, and write the record into its manifest.

    'trainer bundle' does so by itself; this is for bundles that were made before.
    """
    from edge_agent.inference.proof import DEFAULT_PROOF, unproven_reasons
    from trainer.export.record import record_evidence

    manifest = record_evidence(bundle, data, split, seed=seed)
    lacking = unproven_reasons(manifest.labels, manifest.evidence, DEFAULT_PROOF)
    console.print(f"{manifest.name} {manifest.version}: {'PROVISIONAL' if lacking else 'may be used'}.")
    for reason in lacking:
        console.print(f"  {reason}")
