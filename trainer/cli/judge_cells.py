"""``trainer judge-cells``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.options import CellsDataOption, JsonOption, ProcessesOption, SourcesOption, one_of
from trainer.cli.output import results
from trainer.many_laboratories.choosing import JudgedPart


def judge_cells(
    bundle: Annotated[str, typer.Option(help="A cells bundle: the name of a shipped one, or a folder.")],
    data: CellsDataOption,
    laboratory: Annotated[str, typer.Option(help="Code of the laboratory, as in sources.toml.")],
    out: Annotated[Path, typer.Option(help="JSON file for what was said of each cell.")],
    part: Annotated[
        str,
        typer.Option(callback=one_of(JudgedPart), help="validation or test: half of its patients or pictures; or all."),
    ] = "test",
    split: Annotated[
        Path | None, typer.Option(help="The cells.csv of a training: --part is then of it, not of the halves.")
    ] = None,
    sources: SourcesOption = None,
    processes: ProcessesOption = 2,
    *,
    as_json: JsonOption = False,
) -> None:
    """Judge a laboratory's pictures of single cells as the agent does, each recorded, and say how well it went."""
    from trainer.cells.laboratories.listing import list_cells
    from trainer.cells.laboratories.sources import SHIPPED, load_sources
    from trainer.files import check_output_file, make_folder, write_json
    from trainer.many_laboratories.choosing import choose_cells
    from trainer.many_laboratories.figures import measure_laboratory
    from trainer.many_laboratories.judging import judge_cells as judge
    from trainer.many_laboratories.terminal import show_laboratory

    check_output_file(out)
    cells = list_cells(data, load_sources(sources or SHIPPED), [laboratory]).cells
    chosen = choose_cells(cells, JudgedPart(part), split)
    judged = judge(bundle, cells, chosen, data, part, processes).judged
    make_folder(out.parent)
    write_json(out, judged)
    figures = measure_laboratory(judged).figures
    if as_json:
        typer.echo(figures.model_dump_json(indent=2))
    else:
        show_laboratory(figures, results())
