"""Results as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from rich.table import Column, Table
from rich.text import Text

from edge_agent.cameras.file_names import printable_name
from edge_agent.cli.file_readings import FileReading
from edge_agent.cli.terminal import NOTICE
from edge_agent.contracts import (
    NOTHING_DIFFERS,
    Difference,
    Direction,
    Measure,
    Result,
    difference_sentence,
    explain_reason,
)


def results_table(readings: Sequence[FileReading]) -> Table:
    """One row per reading. For one folder its name is the title; for several paths each row has the whole name.

    Where a cells bundle judged, a column has the blasts among the cells with a type, as '2 of 14'.
    """
    paths = {reading.path for reading in readings}
    folder = next(iter(paths)) if len(paths) == 1 and all(reading.in_folder for reading in readings) else None
    by_cells = any(reading.result.differential is not None for reading in readings)
    names = ["outcome", "label", "sure %", "malignant %", *(["blasts"] if by_cells else []), "nuclei", "ms"]
    columns = [Column(name, no_wrap=True) for name in names]
    title = None if folder is None else Text(printable_name(folder))
    table = Table(Column("source", overflow="fold"), *columns, title=title, caption=NOTICE)
    for reading in readings:
        result = reading.result
        why = result.reason or (result.error.code if result.error else None)
        sure = result.decision.confidence_ratio if result.decision is not None else None
        table.add_row(
            # Text, because a name may look like Rich's markup.
            Text(reading.name if folder is None else result.source or ""),
            result.outcome if why is None else f"{result.outcome} ({why})",
            result.label or "",
            "" if sure is None else f"{100 * sure:.1f}",
            "" if result.malignant_ratio is None else f"{100 * result.malignant_ratio:.1f}",
            *([_blasts(result)] if by_cells else []),
            "" if result.nuclei is None else str(result.nuclei.count),
            f"{result.latency_ms['total']:.1f}",
        )
    return table


def _blasts(result: Result) -> str:
    found = result.differential
    return "" if found is None else f"{found.blasts_count} of {found.judged_count}"


def reasons_legend(results: Iterable[Result]) -> Table:
    """What each reason that occurs means and what to do, in the order of first appearance; of errors, what to do.

    An error's message belongs to one file, and is listed with it.
    """
    words: dict[str, str] = {}
    for result in results:
        if result.reason is not None:
            words.setdefault(result.reason, explain_reason(result.reason))
        elif result.error is not None:
            words.setdefault(result.error.code, result.error.remedy)
    legend = Table.grid(Column(no_wrap=True), Column(), padding=(0, 2, 0, 0))
    for code, meaning in words.items():
        legend.add_row(Text(code), Text(meaning))
    return legend


def differences_line(results: Iterable[Result]) -> str | None:
    """What differs most in the unfamiliar pictures, by the commonest measure; None if that was not measured."""
    measured = [result.differs for result in results if result.differs is not None]
    if not measured:
        return None
    alike: dict[tuple[Measure, Direction] | None, list[Difference | None]] = {}
    for differs in measured:
        first = differs[0] if differs else None
        alike.setdefault(None if first is None else (first.measure, first.direction), []).append(first)
    commonest = max(alike.values(), key=len)
    found = sorted((each for each in commonest if each is not None), key=lambda each: each.beyond_ratio)
    words = difference_sentence(found[len(found) // 2]) if found else NOTHING_DIFFERS
    share = "" if len(measured) == 1 else f" in {len(commonest)} of {len(measured)} unfamiliar pictures"
    return f"What differs most{share}: {words}"


def scale_warning(results: Iterable[Result]) -> str | None:
    """What to check if the red cells of most pictures contradict the scale that was given; None if they do not."""
    compared = [each.scale for each in results if each.scale is not None and each.scale.disagrees is not None]
    disagreeing = sum(scale.disagrees is True for scale in compared)
    if 2 * disagreeing <= len(compared):
        return None
    shown = median(scale.estimated_um_per_pixel for scale in compared if scale.estimated_um_per_pixel is not None)
    return (
        f"The scale disagrees with the red cells of {disagreeing} of {len(compared)} pictures, which show {shown:.3g} "
        "µm per pixel. Check the objective and the scale that was given."
    )
