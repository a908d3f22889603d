"""Prints a report: what the head is, how good it is, what is missing, and what to do next."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from trainer.site.summary import AdaptReport
from trainer.site.wording import counted, fine_tuned, interval, joined, percent, reasons


def show_report(report: AdaptReport, stdout: Console) -> None:
    """Print a report for people."""

    def say(text: str = "") -> None:
        stdout.print(text, highlight=False, soft_wrap=True)

    pictures, findings = report.pictures, report.findings
    say(f"{report.name} {report.version}: a head for the bundle {report.parent.name} {report.parent.version}")
    say(f"{counted(pictures.images_count, 'picture')}: {joined({c.code: c.images_count for c in pictures.classes})}")
    say(_grouped(report))
    if pictures.unreadable_count:
        say(f"{counted(pictures.unreadable_count, 'file')} skipped, not readable: {_skipped(report)}")
    if pictures.enlarged_count:
        say(
            f"{counted(pictures.enlarged_count, 'picture')} smaller than a field: enlarged here, refused on the device."
        )
    say()
    _show_figures(report, stdout)
    say()
    if report.provisional:
        say("PROVISIONAL: the device gives no label with this head yet, because:")
        for each in report.lacking:
            say(f"  * {each}")
    else:
        say("PROVEN: its own record is enough for the device to give labels with it.")
    for warning in findings.warnings:
        say()
        say(f"WARNING: {warning}")
    _show_curve(report, stdout)
    _show_refusals(report, stdout)
    _show_shifts(report, stdout)
    if findings.fine_tuned is not None:
        say()
        say(fine_tuned(findings.fine_tuned))
    if report.next_steps:
        say()
        say("What to do next:")
        for number, step in enumerate(report.next_steps, 1):
            say(f"  {number}. {step}")
    say()
    say("Research use only. These figures are of one site's pictures and say nothing of any other.")


def _grouped(report: AdaptReport) -> str:
    pictures = report.pictures
    if pictures.specimens_count is not None:
        return f"Judged with {counted(pictures.specimens_count, 'specimen')} apart."
    return (
        f"No specimens are named: near-duplicates and pictures of the same time were kept together "
        f"({counted(pictures.groups_count, 'group')}), so the figures may be too good."
    )


def _skipped(report: AdaptReport, most: int = 3) -> str:
    paths = [each.path for each in report.pictures.unreadable]
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return f"{', '.join(paths[:most])}{more}"


def _show_figures(report: AdaptReport, stdout: Console) -> None:
    figures = report.figures
    if figures is None:
        stdout.print("Its accuracy was not measured.", highlight=False)
        return
    table = Table("on pictures it was not fitted to", "pictures", "right", "95 % interval")
    for name, count, ratio, between in (
        ("all", str(report.pictures.images_count), figures.accuracy_ratio, figures.accuracy_interval_ratio),
        *(
            (each.code, str(each.images_count), each.recall_ratio, each.recall_interval_ratio)
            for each in figures.classes
        ),
    ):
        table.add_row(name, count, percent(ratio), interval(between))
    stdout.print(table)
    if figures.auroc_ratio is not None:
        area = f"{figures.auroc_ratio:.3f}"
        if figures.auroc_interval_ratio is not None:
            area += f" ({figures.auroc_interval_ratio[0]:.3f} to {figures.auroc_interval_ratio[1]:.3f})"
        stdout.print(
            f"AUROC {area}; probabilities are off by {percent(figures.calibration_error_ratio)} on average.",
            highlight=False,
            soft_wrap=True,
        )


def _show_curve(report: AdaptReport, stdout: Console) -> None:
    curve = report.findings.learning_curve
    if curve is None:
        return
    stdout.print("\nWhat more labels would bring (95 % intervals):", highlight=False)
    for advice in curve.advice:
        stdout.print(f"  * {advice.sentence}", highlight=False, soft_wrap=True)


def _show_refusals(report: AdaptReport, stdout: Console) -> None:
    own, foreign = report.findings.own_refusals, report.findings.foreign_refusals
    rows = (*(() if own is None else (own,)), *(foreign or ()))
    if not rows:
        return
    table = Table("pictures", "number", "refused", "95 % interval", "why")
    for each in rows:
        table.add_row(
            each.name,
            str(each.images_count),
            percent(each.refused_ratio),
            interval(each.refused_interval_ratio),
            reasons(each),
        )
    stdout.print()
    stdout.print(table)


def _show_shifts(report: AdaptReport, stdout: Console) -> None:
    shifts = report.findings.shifts
    if not shifts:
        return
    table = Table("if pictures were", "by", "right", "95 % interval", "refused")
    for each in shifts:
        table.add_row(
            each.shift,
            each.strength,
            percent(each.accuracy_ratio),
            interval(each.accuracy_interval_ratio),
            percent(each.refused_ratio),
        )
    stdout.print()
    stdout.print(table)
    stdout.print(f"On {counted(shifts[0].images_count, 'picture')}, refused ones counted too.", highlight=False)
