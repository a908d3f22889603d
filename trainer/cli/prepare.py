"""``trainer prepare``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from trainer.cli.options import DataOption, DescriptionOption, SeedOption, TableOption, TestShareOption
from trainer.cli.options import ValidationShareOption as ValidationShare
from trainer.cli.output import results
from trainer.data.split import Assignment, Part, near_duplicates_count
from trainer.data.split_policy import Disjoint, Shares
from trainer.progress import console


def _disjoint(value: str) -> Disjoint:
    try:
        return Disjoint(value)
    except ValueError as error:
        raise typer.BadParameter(f"'{value}' is not one of {', '.join(Disjoint)}.") from error


def prepare(
    data: DataOption,
    out: Annotated[Path, typer.Option(help="New CSV file for the split.")],
    description: DescriptionOption = None,
    table: TableOption = None,
    disjoint: Annotated[
        Disjoint | None,
        typer.Option(
            parser=_disjoint,
            metavar=f"[{'|'.join(Disjoint)}]",
            help="What is kept in one part: near-duplicates alone, also groups (the default where the table has "
            "them), or also clusters of stain and light.",
        ),
    ] = None,
    test_share: TestShareOption = 0.1,
    validation_share: ValidationShare = 0.1,
    clusters: Annotated[
        int, typer.Option(min=3, help="Clusters of stain and light per class, with --disjoint stains.")
    ] = 12,
    seed: SeedOption = 1,
) -> None:
    """Split a data set into training, validation and test, once, for 'trainer train --split'."""
    from trainer.data.dataset import report_unreadable
    from trainer.data.description import load_description
    from trainer.data.prepare import prepare as prepare_split

    new = prepare_split(
        data,
        load_description(description, data),
        out,
        table=table,
        disjoint=disjoint,
        shares=Shares(test=test_share, validation=validation_share),
        clusters_per_class=clusters,
        seed=seed,
    )
    report_unreadable(new.unreadable)
    _show(new.assignments)
    if new.disjoint is Disjoint.NEAR_DUPLICATES:
        console.print("No groups were kept apart: images of one person may be in several parts.", style="yellow")
    console.print(f"Split written to {out}.")


def _show(assignments: Sequence[Assignment]) -> None:
    counts = Counter((each.file.label, each.part) for each in assignments)
    table = Table("class", *Part)
    for label in sorted({each.file.label for each in assignments}):
        table.add_row(label, *(str(counts[label, part]) for part in Part))
    results().print(table)
    console.print(f"{near_duplicates_count(assignments)} images have a near-duplicate, which is in the same part.")
