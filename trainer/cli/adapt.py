"""``trainer adapt``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.options import (
    AlphaOption,
    DescriptionOption,
    ForeignOption,
    JsonOption,
    SeedOption,
    TableOption,
    WeightsOption,
    one_of,
)
from trainer.cli.sign import SignOption, ask_for_key, sign_with
from trainer.spec import IMAGENET


def adapt(
    data: Annotated[Path, typer.Option(help="Folder with one folder of images per class, such as an export.")],
    name: Annotated[str, typer.Option(help="Name of the head, such as north-clinic-1.")],
    out: Annotated[Path, typer.Option(help="New folder for the head.")],
    bundle: Annotated[str, typer.Option(help="Name of a shipped bundle, or a bundle's folder.")] = "accurate",
    version: Annotated[str, typer.Option(help="Version of the head: three numbers.")] = "1.0.0",
    description: DescriptionOption = None,
    table: TableOption = None,
    foreign: ForeignOption = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for report.json and a contact sheet of the images to look at again.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps what was measured of each image for the next time.")
    ] = None,
    sign: SignOption = None,
    seed: SeedOption = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads to compute with.")] = 1,
    weights: WeightsOption = IMAGENET,
    alpha: AlphaOption = "1.0",
    *,
    fine_tune: Annotated[
        bool,
        typer.Option(
            "--fine-tune",
            help="Train upper layers, too, from --weights of width --alpha, write OUT-fine-tuned and compare. "
            "Takes minutes and needs TensorFlow.",
        ),
    ] = False,
    as_cell: Annotated[
        bool,
        typer.Option("--as-cell", help="Each image shows one cell, for a head on a bundle of the kind 'cells'."),
    ] = False,
    um_per_pixel: Annotated[
        float | None, typer.Option(min=0.001, help="With --as-cell: size of the images' pixels, if known.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only the head and its accuracy. Such a head is provisional.")
    ] = False,
    as_json: JsonOption = False,
    progress: Annotated[
        str, typer.Option(callback=one_of(("none", "json")), help="json: how far it is, a line each time, on stderr.")
    ] = "none",
) -> None:
    """Fit a head to labelled images of your own, and measure what it is worth.

    A head judges in place of a bundle's own classes: 'edge-agent classify --bundle accurate --head OUT'. Exit status 0
    also if the head is provisional, which the report says.
    """
    # Before minutes of work, and while somebody is still there to type a passphrase.
    key = None if sign is None else ask_for_key(sign)
    if fine_tune:
        from trainer.networks.quiet_import import import_keras

        import_keras()
    import cv2
    from threadpoolctl import threadpool_limits

    from trainer.cli.output import results
    from trainer.site.adapt import AdaptOptions
    from trainer.site.adapt import adapt as fit
    from trainer.site.fine_tune import FineTuneOptions
    from trainer.site.progress import JsonLines, silent
    from trainer.site.terminal import show_report

    cv2.setNumThreads(threads)
    # The module comes with scikit-learn. numpy's own variable is read when numpy is loaded, which it is by now.
    threadpool_limits(threads)
    fine_tuned = out.parent / f"{out.name}-fine-tuned"
    found = fit(
        AdaptOptions(
            bundle=bundle,
            data=data,
            name=name,
            out=out,
            version=version,
            description=description,
            table=table,
            foreign=tuple(foreign or ()),
            report=report,
            cache=cache,
            as_cell=as_cell,
            um_per_pixel=um_per_pixel,
            quick=quick,
            fine_tune=FineTuneOptions(weights, float(alpha), fine_tuned) if fine_tune else None,
            seed=seed,
            # Without paths: a head may leave the site, and a folder may be named after a person.
            command=f"trainer adapt --bundle {Path(bundle).name} --name {name} --version {version} --seed {seed}"
            + (" --as-cell" if as_cell else "")
            + ("" if um_per_pixel is None else f" --um-per-pixel {um_per_pixel:g}"),
        ),
        progress=JsonLines() if progress == "json" else silent,
    )
    if found.cell_scale is not None and progress == "none":
        typer.echo(found.cell_scale.describe(), err=True)
    if key is not None:
        for folder in (out, fine_tuned) if fine_tune else (out,):
            sign_with(folder, key, say=progress == "none")
    if as_json:
        typer.echo(found.report.model_dump_json(indent=2))
    else:
        show_report(found.report, results())
        typer.echo(f"Head written to {out}.")
