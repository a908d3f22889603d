"""A bundle's answers for foreign things, as tables."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from trainer.cells.foreign.judging import ForeignCells
from trainer.cells.foreign.pictures import WHITE_CELL
from trainer.reports.formatting import interval_cell, percent


def show_foreign_cells(found: ForeignCells, stdout: Console) -> None:
    """Print each kind of picture, judged as a cell, then the fields."""
    table = Table(
        "source", "kind", "kind fitted", "pictures", "refused", "95 %", "types of the rest", title="Judged as cells"
    )
    for row in found.as_cells:
        rest = ", ".join(f"{name} {count}" for name, count in row.answered_types.items())
        table.add_row(
            row.source,
            row.kind,
            "yes" if row.fitted else "no",
            str(row.pictures_count),
            percent(row.refused_ratio),
            interval_cell(row.refused_interval_ratio),
            rest,
        )
    stdout.print(table)
    fields = Table(
        "source",
        "fields",
        "rejected",
        "nuclei found",
        "typed",
        "typed objects",
        "white cells refused",
        title="Whole fields",
    )
    for each in found.fields:
        typed = ", ".join(
            f"{each.typed_objects_count.get(kind, 0)} of {count} {kind}"
            for kind, count in each.objects_count.items()
            if kind != WHITE_CELL
        )
        ratio = each.refused_white_cells_ratio
        fields.add_row(
            each.source,
            str(each.fields_count),
            str(each.rejected_fields_count),
            str(each.cells_count),
            str(each.typed_count),
            typed,
            "" if ratio is None else percent(ratio),
        )
    stdout.print(fields)
