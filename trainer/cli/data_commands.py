"""The commands that look at data: synth, prepare, audit, probe."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from trainer.cli.app import (
    AlphaOption,
    DataOption,
    DescriptionOption,
    FiguresOption,
    JsonOption,
    SeedOption,
    TableOption,
    TestShareOption,
    ValidationShareOption,
    WeightsOption,
    app,
    stdout,
)
from trainer.data.dataset import Dataset, read_dataset, report_unreadable
from trainer.data.description import Description, load_description
from trainer.data.prepare import Prepared
from trainer.data.prepare import prepare as prepare_split
from trainer.data.split import Part, near_duplicates_count, parse_split
from trainer.data.split_policy import Disjoint, Shares
from trainer.data.synthesis import synthesise
from trainer.evaluation.audit import audit as audit_dataset
from trainer.evaluation.probe import probe as probe_features
from trainer.evaluation.probe_features import cached_features
from trainer.files import write_json
from trainer.progress import console
from trainer.reports.audit_table import show_audit
from trainer.reports.probe_table import show_probe

EXIT_LEAK = 1


@app.command()
def synth(
    out: Annotated[Path, typer.Option(help="New folder for the class folders.")],
    per_class: Annotated[int, typer.Option(min=3, help="Images per class.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same images.")] = 1,
) -> None:
    """Draw a data set of synthetic smears."""
    description = synthesise(out, per_class, seed)
    console.print(f"Drew {per_class} images of each of {len(description.classes)} classes into {out}.")


@app.command()
def prepare(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    data: DataOption,
    out: Annotated[Path, typer.Option(help="New CSV file for the split.")],
    description: DescriptionOption = None,
    table: TableOption = None,
    disjoint: Annotated[
        Disjoint | None,
        typer.Option(
            help="What is kept on one side beside twins: groups (the default where the table has them), clusters of "
            "stain and light, or nothing more."
        ),
    ] = None,
    test_share: TestShareOption = 0.1,
    validation_share: ValidationShareOption = 0.1,
    clusters: Annotated[int, typer.Option(min=3, help="Clusters of stain per class, with --disjoint stains.")] = 12,
    seed: SeedOption = 1,
) -> None:
    """Split a data set into training, validation and test, once, for 'trainer train --split'."""
    prepared = prepare_split(
        data,
        load_description(description, data),
        out,
        table=table,
        disjoint=disjoint,
        shares=Shares(test=test_share, validation=validation_share),
        clusters_per_class=clusters,
        seed=seed,
    )
    report_unreadable(prepared.unreadable)
    _report_split(prepared)
    console.print(f"Split written to {out}.")


@app.command()
def audit(
    data: DataOption,
    description: DescriptionOption = None,
    table: TableOption = None,
    split: Annotated[Path | None, typer.Option(help="Split (CSV) to look for leaks in.")] = None,
    out: FiguresOption = None,
    seed: SeedOption = 0,
    *,
    as_json: JsonOption = False,
) -> None:
    """Measure how much of the label can be told without a cell; exit 1 if twins or groups cross the split."""
    described, dataset = _read(data, description, table)
    assignments = None if split is None else parse_split(split)
    found = audit_dataset(data, dataset, described.name, split=assignments, seed=seed)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        show_audit(found, stdout())
    if out is not None:
        # Matplotlib takes a second to import.
        from trainer.reports import plots  # noqa: PLC0415 - matplotlib, which only figures need

        plots.save({"clues": plots.clues(found)}, out)
        write_json(out / "audit.json", found)
    if found.leaks:
        raise typer.Exit(EXIT_LEAK)


@app.command()
def probe(
    data: DataOption,
    table: Annotated[Path, typer.Option(help="CSV of path (relative to it), label and group: the subject.")],
    weights: WeightsOption,
    out: Annotated[Path, typer.Option(help="Folder for the features, which are kept, and the JSON.")],
    description: DescriptionOption = None,
    alpha: AlphaOption = "1.0",
    seed: SeedOption = 0,
    *,
    as_json: JsonOption = False,
) -> None:
    """Measure by how much a random split flatters a classifier, on data whose subjects are known."""
    described, dataset = _read(data, description, table)
    found = probe_features(cached_features(dataset, weights, float(alpha), out), dataset, described, seed=seed)
    write_json(out / "probe.json", found)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        show_probe(found, stdout())


def _read(data: Path, description: str | None, table: Path | None) -> tuple[Description, Dataset]:
    described = load_description(description, data)
    dataset = read_dataset(data, described, table)
    report_unreadable(dataset.unreadable)
    return described, dataset


def _report_split(prepared: Prepared) -> None:
    counts = Counter((each.file.label, each.part) for each in prepared.assignments)
    table = Table("class", *Part)
    for label in sorted({each.file.label for each in prepared.assignments}):
        table.add_row(label, *(str(counts[label, part]) for part in Part))
    stdout().print(table)
    console.print(f"{near_duplicates_count(prepared.assignments)} images have a twin; twins are on one side.")
    if prepared.disjoint is Disjoint.TWINS:
        console.print("No groups were kept apart: images of one person may be on both sides.", style="yellow")
