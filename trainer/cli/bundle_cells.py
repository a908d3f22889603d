"""``trainer bundle-cells``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.sign import SignOption, ask_for_key, sign_with
from trainer.networks.quiet_import import import_keras
from trainer.progress import console


def bundle_cells(
    run: Annotated[Path, typer.Option(help="Folder that 'trainer train-cells' wrote.")],
    data: Annotated[Path, typer.Option(help="Folder of the laboratories' pictures, under the paths of sources.toml.")],
    out: Annotated[Path, typer.Option(help="New folder for the bundle.")],
    version: Annotated[str, typer.Option(help="Version of the bundle: three numbers, such as 0.1.0.")],
    name: Annotated[
        str, typer.Option(help="Name of the bundle: lower-case letters, digits and single hyphens.")
    ] = "cells",
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps what is cut out. Default: the run's.")] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Markdown for the card: figures of laboratories that were left out."
        ),
    ] = None,
    sign: SignOption = None,
    *,
    provisional: Annotated[
        bool, typer.Option("--provisional", help="Write it even if its record is too poor to be used.")
    ] = False,
) -> None:
    """Make a bundle that judges single cells of a run of 'trainer train-cells'.

    It converts the network, calibrates and measures the int8 file, and writes golden vectors, cards and manifest.
    """
    key = None if sign is None else ask_for_key(sign)
    from trainer.export.identity import BundleIdentity

    identity = BundleIdentity(name=name, version=version)
    left_out = None if table is None else table.read_text(encoding="utf-8", errors="replace")
    import_keras()
    from trainer.cells.bundling.bundle import bundle_cells as make_bundle

    judged, lacking = make_bundle(run, data, out, identity, cache=cache, table=left_out, provisional=provisional)
    right = judged.probabilities[judged.typed].argmax(axis=1) == judged.truth
    console.print(f"Bundle written to {out}. Right type: {right.sum()} of {len(right)} test cells.")
    if lacking:
        console.print("PROVISIONAL: the agent gives no type with it.", *lacking, sep="\n  ")
    if key is not None:
        sign_with(out, key)
