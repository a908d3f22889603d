"""``trainer judge-foreign-cells``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.options import FiguresOption, JsonOption, SeedOption
from trainer.cli.output import results


def judge_foreign_cells(
    bundle: Annotated[str, typer.Option(help="Name of a shipped cells bundle, or its folder.")],
    data: Annotated[Path, typer.Option(help="Folder that the manifests of sources.toml are in.")],
    boxes: Annotated[
        Path | None, typer.Option(help="CSV of marked white cells, red cells and platelets, relative to --data.")
    ] = None,
    fields: Annotated[
        list[Path] | None, typer.Option(help="Folder of whole fields, relative to --data. May be given several times.")
    ] = None,
    out: FiguresOption = None,
    seed: SeedOption = 0,
    *,
    as_json: JsonOption = False,
) -> None:
    """Measure how often a cells bundle refuses what is no nucleated cell: platelets, red cells, glass and nonsense.

    Each is judged as a single cell, as 'edge-agent classify --as-cell' does, and whole fields as a device does.
    """
    from trainer.cells.foreign.judging import judge_foreign_cells as judge
    from trainer.cells.foreign.table import show_foreign_cells
    from trainer.cells.laboratories.listing import list_cells
    from trainer.cells.laboratories.sources import load_sources
    from trainer.files import check_output_folder, make_folder, write_json

    if out is not None:
        check_output_folder(out)
        make_folder(out)
    sources = load_sources()
    found = judge(
        bundle, data, sources, list_cells(data, sources).cells, boxes=boxes, fields=tuple(fields or ()), seed=seed
    )
    if out is not None:
        write_json(out / "foreign-cells.json", found)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        show_foreign_cells(found, results())
