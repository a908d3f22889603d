"""An audit as a table."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from trainer.evaluation.audit import Audit
from trainer.reports.formatting import interval_cell, percent


def show_audit(found: Audit, stdout: Console) -> None:
    """What an audit found, in a table and in words."""
    groups = "no groups known" if found.groups_count is None else f"{found.groups_count} groups"
    stdout.print(
        f"{found.dataset}: {found.images_count} images ({found.unreadable_count} unreadable), {groups}, "
        f"{found.images_with_twin_count} with a twin in {found.twin_pairs_count} pairs",
        highlight=False,
        soft_wrap=True,
    )
    table = Table("what is not a cell", "values", "accuracy", "95 %", "tells the label", title="Told without a cell")
    for clue in found.clues:
        table.add_row(
            clue.name,
            str(clue.values_count),
            percent(clue.accuracy_ratio),
            interval_cell(clue.accuracy_interval_ratio),
            "yes" if clue.tells else "no",
        )
    table.add_row("nothing: always the commonest", "0", percent(found.chance_ratio), "", "")
    stdout.print(table)
    if not any(clue.tells for clue in found.clues):
        stdout.print("Nothing that was tried tells the label without a cell.")
    if found.leaks is not None:
        stdout.print(f"{len(found.leaks)} leak(s) across the split", highlight=False)
    for leak in found.leaks or ():
        stdout.print(f"  {leak.what}: {leak.first} and {leak.second}", highlight=False, soft_wrap=True)
