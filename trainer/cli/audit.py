"""``trainer audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainer.cli.options import DataOption, DescriptionOption, FiguresOption, JsonOption, SeedOption, TableOption
from trainer.cli.output import results

EXIT_LEAK = 1


def audit(
    data: DataOption,
    description: DescriptionOption = None,
    table: TableOption = None,
    split: Annotated[Path | None, typer.Option(help="Split (CSV) to check for leaks.")] = None,
    out: FiguresOption = None,
    seed: SeedOption = 0,
    *,
    as_json: JsonOption = False,
) -> None:
    """Measure how well the label can be predicted without a cell.

    With --split, exit 1 if near-duplicates or groups are in several parts of it.
    """
    from trainer.cli.dataset import read_described
    from trainer.data.split import parse_split
    from trainer.evaluation.audit import audit as audit_dataset
    from trainer.files import check_output_folder, write_json
    from trainer.reports.audit_table import show_audit

    if out is not None:
        from trainer.reports import plots

        check_output_folder(out)
    assignments = None if split is None else parse_split(split)
    described, dataset = read_described(data, description, table)
    found = audit_dataset(data, dataset, described.name, split=assignments, seed=seed)
    if out is not None:
        plots.save({"clues": plots.shortcuts(found)}, out)
        write_json(out / "audit.json", found)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        show_audit(found, results())
    if found.leaks:
        raise typer.Exit(EXIT_LEAK)
