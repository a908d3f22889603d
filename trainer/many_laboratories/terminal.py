"""Prints one laboratory's figures in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from trainer.many_laboratories.figures import COMPLETE_RATIO, Estimate, LaboratoryFigures


def show_laboratory(found: LaboratoryFigures, stdout: Console) -> None:
    """Print what was judged, and each figure over all cells and over those that were not refused."""
    patients = "patients unknown" if found.patients_count is None else f"{found.patients_count} patients"
    stdout.print(
        f"{found.laboratory}, {found.part}: {found.cells_count} cells, {found.blasts_count} of them blasts; {patients}",
        highlight=False,
        soft_wrap=True,
    )
    stdout.print(found.scale, highlight=False, soft_wrap=True)
    shown = Table("figure", f"all {found.all_cells.cells_count}", f"{found.judged_cells.cells_count} not refused")
    for name, estimate in found.all_cells.estimates.items():
        shown.add_row(name, _cell(estimate), _cell(found.judged_cells.estimates.get(name)))
    shown.add_row("refused_ratio", _cell(found.refused), "-")
    if found.not_cells_refused is not None:
        shown.add_row(
            f"refused_ratio of {found.not_cells_count} that are no cells", _cell(found.not_cells_refused), "-"
        )
    stdout.print(shown)


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    if estimate.interval is None:
        return f"{estimate.value:.3f}"
    text = f"{estimate.value:.3f} ({estimate.interval[0]:.3f} to {estimate.interval[1]:.3f})"
    defined = estimate.defined_resamples_ratio
    return text if defined >= COMPLETE_RATIO else f"{text}, by {100 * defined:.0f} % of the resamples"
