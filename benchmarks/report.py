"""The findings of a benchmark, and their output as table, JSON and plot, shared by all of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.machine import MAX_OTHERS_PCT, Conditions, as_record, describe_machine, observed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

console = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 140)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of the table.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for NAME.json and the plot NAME.png.")]
MaxOthers = Annotated[
    float, typer.Option(help="Figures are not valid if other processes take more processor time than this, in percent.")
]


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal. Ratios within a run can be compared between runs; milliseconds cannot."""

    name: str
    limit: float
    at_most: bool
    measured: float | None
    is_ratio: bool = True

    @property
    def reached(self) -> bool:
        """Whether the goal was measured and reached."""
        if self.measured is None:
            return False
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit


@dataclass(frozen=True, slots=True)
class Absent:
    """A case that this machine cannot run, and why."""

    case: str
    reason: str


@dataclass(slots=True)
class Findings:
    """The findings, filled in by a benchmark."""

    benchmark: str
    columns: dict[str, str]
    """Headings of the table, by key."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    absent: list[Absent] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    draw: Callable[[Axes], None] | None = None
    valid: bool = False
    """Set when the findings are reported."""


@contextmanager
def reported(
    findings: Findings, *, as_json: bool, out: Path | None, max_others_pct: float = MAX_OTHERS_PCT
) -> Iterator[Findings]:
    """Watch the machine while the body fills in the findings, then report them.

    Exits with 0 even if the figures are not valid; the report says so.
    """
    with observed(max_others_pct) as conditions:
        yield findings
    findings.valid = conditions.valid
    record = _record(findings, conditions)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{findings.benchmark}.json").write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
        if findings.draw is not None:
            _plot(findings, out / f"{findings.benchmark}.png")
    if as_json:
        typer.echo(json.dumps(record))
    else:
        _show(findings, conditions)


def ratio(above: float | None, below: float | None) -> float | None:
    """The ratio to three places; None if either figure is missing."""
    return None if above is None or below is None else round(above / below, 3)


def _record(findings: Findings, conditions: Conditions) -> dict[str, Any]:
    return {
        "benchmark": findings.benchmark,
        **as_record(describe_machine(), conditions),
        "rows": findings.rows,
        "goals": [{**asdict(goal), "reached": goal.reached} for goal in findings.goals],
        "absent": [asdict(each) for each in findings.absent],
        "notes": findings.notes,
    }


def _show(findings: Findings, conditions: Conditions) -> None:
    machine = describe_machine()
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    console.print(f"{machine.model}, {machine.cores_count} cores, governor {machine.governor or 'unknown'}; {versions}")
    console.print(
        f"others took {conditions.others_pct} % of the processor; throttling: "
        f"{'unknown' if conditions.throttling is None else ', '.join(conditions.throttling) or 'none'}"
        + ("" if conditions.temperature_c is None else f"; {conditions.temperature_c:.0f} °C")
    )
    table = Table(*findings.columns.values(), title=findings.benchmark)
    for row in findings.rows:
        table.add_row(*(_cell(row.get(key)) for key in findings.columns))
    console.print(table)
    for note in findings.notes:
        console.print(note)
    for each in findings.absent:
        console.print(f"not run: {each.case}: {each.reason}", style="yellow")
    for goal in findings.goals:
        how = "at most" if goal.at_most else "at least"
        measured = "not measured" if goal.measured is None else f"{goal.measured:g}"
        style = "green" if goal.reached else "yellow"
        reached = "reached" if goal.reached else "NOT reached"
        console.print(f"{goal.name}: {measured} (goal: {how} {goal.limit:g}; {reached})", style=style)
    for objection in conditions.objections:
        console.print(f"NOT VALID: {objection}", style="red")


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"
        case _:
            return str(value)


def _plot(findings: Findings, path: Path) -> None:
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - a device does not have it, and needs no plots
    except ImportError:
        console.print(f"no {path.name}: matplotlib is not installed", style="yellow")
        return
    if findings.draw is None:
        return
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    findings.draw(figure.add_subplot())
    figure.savefig(path, dpi=110)
