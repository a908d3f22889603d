"""``trainer quantize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.options import DataOption
from trainer.networks.quiet_import import import_keras
from trainer.progress import console


def quantize(
    run: Annotated[Path, typer.Option(help="Folder that 'trainer train' wrote.")],
    data: DataOption,
    *,
    edgetpu: Annotated[
        bool, typer.Option("--edgetpu", help="Compile it for a Coral Edge TPU too; needs edgetpu_compiler.")
    ] = False,
) -> None:
    """Convert a run to a full-integer TFLite file."""
    import_keras()
    from trainer.export.quantization import quantize as quantize_run
    from trainer.training.run import MODEL

    found = quantize_run(run, data, edgetpu=edgetpu)
    operations = ", ".join(f"{name} {version}" for name, version in found.operations.items())
    console.print(
        f"{run / MODEL}: {found.model_bytes / 1e6:.2f} MB; ops and their versions: {operations}.",
        soft_wrap=True,
    )
    if found.edge_tpu is not None:
        console.print(f"edgetpu_compiler {found.edge_tpu.version}: all {found.edge_tpu.operations_count} ops mapped.")
