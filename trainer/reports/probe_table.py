"""A probe as a table."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from trainer.evaluation.probe import Probe, Ranking


def show_probe(found: Probe, stdout: Console) -> None:
    """Print both rankings and the gap."""
    stdout.print(
        f"{found.dataset}: {found.images_count} images of {found.malignant_subjects_count} malignant and "
        f"{found.other_subjects_count} other subjects",
        highlight=False,
        soft_wrap=True,
    )
    table = Table("linear classifier on frozen features", "AUROC", "95 %")
    for name, ranking in (("subjects never seen", found.subject_disjoint), ("random split", found.random_split)):
        table.add_row(name, *_ranking(ranking))
    table.add_row("gap", f"{found.gap_ratio:.3f}", "{:.3f} to {:.3f}".format(*found.gap_interval_ratio))
    stdout.print(table)


def _ranking(ranking: Ranking) -> tuple[str, str]:
    low, high = ranking.auroc_interval_ratio
    return f"{ranking.auroc_ratio:.3f}", f"{low:.3f} to {high:.3f}"
