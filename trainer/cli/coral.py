"""``trainer coral``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.sign import SignOption, ask_for_key, sign_with
from trainer.networks.quiet_import import import_keras
from trainer.progress import console


def coral(
    bundle: Annotated[str, typer.Option(help="Name of a shipped bundle, or a bundle's folder.")],
    out: Annotated[Path, typer.Option(help="New folder for the bundle.")],
    sign: SignOption = None,
) -> None:
    """Make a copy of a bundle whose model is compiled for a Coral Edge TPU as well; needs edgetpu_compiler."""
    key = None if sign is None else ask_for_key(sign)
    import_keras()
    from trainer.export.coral import add_edge_tpu_model

    report = add_edge_tpu_model(bundle, out)
    console.print(f"edgetpu_compiler {report.version}: all {report.operations_count} ops run on the Edge TPU.")
    if report.streamed_parameters is not None:
        console.print(f"Parameters that do not fit into its memory: {report.streamed_parameters}.")
    console.print(f"Bundle written to {out}.", soft_wrap=True)
    if key is not None:
        sign_with(out, key)
