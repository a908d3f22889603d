"""An audit as a table."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from trainer.evaluation.audit import Audit
from trainer.reports.formatting import interval_cell, percent


def show_audit(found: Audit, stdout: Console) -> None:
    """Print the findings of an audit, in a table and in words."""
    groups = "no groups known" if found.groups_count is None else f"{found.groups_count} groups"
    stdout.print(
        f"{found.dataset}: {found.images_count} images ({found.unreadable_count} unreadable), {groups}, "
        f"{found.images_with_near_duplicate_count} with a near-duplicate in {found.near_duplicate_pairs_count} pairs",
        highlight=False,
        soft_wrap=True,
    )
    table = Table(
        "shortcut", "values", "accuracy", "95 %", "predicts the label", title="Predicting the label without a cell"
    )
    for shortcut in found.shortcuts:
        table.add_row(
            shortcut.name,
            str(shortcut.values_count),
            percent(shortcut.accuracy_ratio),
            interval_cell(shortcut.accuracy_interval_ratio),
            "yes" if shortcut.reveals_label else "no",
        )
    table.add_row("none: always the commonest class", "0", percent(found.chance_ratio), "", "")
    stdout.print(table)
    if not any(shortcut.reveals_label for shortcut in found.shortcuts):
        stdout.print("None of these shortcuts predicts the label better than chance.")
    if found.leaks is not None:
        stdout.print(f"{len(found.leaks)} leaks across the split", highlight=False)
    for leak in found.leaks or ():
        stdout.print(f"  {leak.what}: {leak.first} and {leak.second}", highlight=False, soft_wrap=True)
