"""``trainer bundle``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.options import DataOption, ForeignOption
from trainer.cli.sign import SignOption, ask_for_key, sign_with
from trainer.networks.quiet_import import import_keras
from trainer.progress import console


def bundle(
    run: Annotated[Path, typer.Option(help="Folder that 'trainer train' and 'trainer quantize' wrote.")],
    data: DataOption,
    out: Annotated[Path, typer.Option(help="New folder for the bundle.")],
    name: Annotated[str, typer.Option(help="Name of the bundle: lower-case letters, digits and single hyphens.")],
    version: Annotated[str, typer.Option(help="Version of the bundle: three numbers, such as 0.1.0.")],
    audit: Annotated[Path | None, typer.Option(help="The data's audit.json, to be reported on the cards.")] = None,
    foreign: ForeignOption = None,
    sign: SignOption = None,
    *,
    provisional: Annotated[
        bool, typer.Option("--provisional", help="Write it even if its record is too poor to be used.")
    ] = False,
) -> None:
    """Make a bundle of a quantized run: thresholds, familiarity, golden vectors, cards and manifest.

    The bundle is a demonstration if the description of the run's data has synthetic = true.
    """
    # Before minutes of work, and while somebody is still there to type a passphrase.
    key = None if sign is None else ask_for_key(sign)
    import_keras()
    from trainer.evaluation.audit import read_audit
    from trainer.export.bundle import bundle as make_bundle
    from trainer.export.identity import BundleIdentity

    figures, lacking = make_bundle(
        run,
        data,
        out,
        BundleIdentity(name=name, version=version),
        audit=None if audit is None else read_audit(audit),
        foreign=tuple(foreign or ()),
        provisional=provisional,
    )
    console.print(
        f"Bundle written to {out}. Accuracy on {figures.images_count} test images: "
        f"{100 * figures.accuracy_ratio:.2f} %.",
    )
    if lacking:
        console.print("PROVISIONAL: the agent gives no label with it.", *lacking, sep="\n  ")
    if key is not None:
        sign_with(out, key)
