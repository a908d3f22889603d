"""``trainer many-laboratories``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.options import CellsDataOption, JsonOption, ProcessesOption, SeedOption, SourcesOption, WeightsOption
from trainer.networks.quiet_import import import_keras


def many_laboratories(
    runs: Annotated[
        Path,
        typer.Option(
            help="Folder with the run of each training (without-LABORATORY, all, patients, random), and in it its "
            "bundle. What was judged is kept there."
        ),
    ],
    data: CellsDataOption,
    weights: WeightsOption,
    out: Annotated[
        Path,
        typer.Option(help="Folder for the figures as JSON, and for the short table that 'bundle-cells --table' takes."),
    ],
    page: Annotated[
        list[Path] | None,
        typer.Option(help="A Markdown file whose marked tables are filled in. May be given several times."),
    ] = None,
    sources: SourcesOption = None,
    processes: ProcessesOption = 2,
    seed: SeedOption = 0,
    *,
    as_json: JsonOption = False,
) -> None:
    """Measure bundles in laboratories that they were not trained on, beside a linear baseline; fill in the tables."""
    import_keras()
    from trainer.cells.laboratories.sources import SHIPPED, load_sources
    from trainer.many_laboratories.measure import Table, measure_all
    from trainer.many_laboratories.page import update_page, write_table
    from trainer.many_laboratories.results import TABLE
    from trainer.many_laboratories.table import render_blocks

    table = Table(runs, data, load_sources(sources or SHIPPED), processes, seed)
    found = measure_all(table, weights, out)
    blocks = render_blocks(found)
    write_table(out / TABLE, blocks["short"])
    for each in page or []:
        update_page(each, blocks)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        typer.echo(blocks["short"])
