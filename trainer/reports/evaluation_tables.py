"""An evaluation as tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from trainer.evaluation.corner import CornerFigures
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.figures import Figures
from trainer.evaluation.foreign import ForeignFigures
from trainer.evaluation.shifts import ShiftFigures
from trainer.reports.formatting import counts_cell, interval_cell, percent

_OVERALL = {
    "accuracy_ratio": "accuracy of the top class",
    "macro_precision_ratio": "mean precision",
    "macro_recall_ratio": "mean recall",
    "macro_f1_ratio": "mean F1",
    "auroc_ratio": "mean AUROC",
    "malignant_precision_ratio": "malignant precision",
    "malignant_recall_ratio": "malignant recall",
    "malignant_specificity_ratio": "malignant specificity",
    "malignant_f1_ratio": "malignant F1",
    "malignant_auroc_ratio": "malignant AUROC",
    "expected_calibration_error_ratio": "expected calibration error",
    "refused_ratio": "refused",
    "answered_accuracy_ratio": "accuracy of the answered labels",
}


def show_evaluation(evaluation: Evaluation, stdout: Console) -> None:
    """Print every table of an evaluation."""
    figures = evaluation.figures
    size_mb = evaluation.model_bytes / 1e6
    stdout.print(
        f"{evaluation.bundle} ({size_mb:.2f} MB) on {figures.images_count} images ({evaluation.part})", highlight=False
    )
    stdout.print(_classes(figures), _confusion(figures), _overall(figures))
    low, high = figures.accuracy_interval_ratio
    speed = evaluation.speed
    lines = [
        ("accuracy, Wilson's 95 % interval", f"{percent(low)} to {percent(high)}"),
        ("Brier score (0 to 2)", f"{figures.brier_score:.4f}"),
        ("refused because", counts_cell(evaluation.refusals)),
        ("median time of the network", f"{speed.inference_ms:.1f} ms"),
        ("median time from file to reading", f"{speed.total_ms:.1f} ms"),
        ("measured with", f"{speed.runtime}, {speed.machine}, {speed.threads_count} thread"),
    ]
    if parity := evaluation.parity:
        lines += [
            ("float network's accuracy", percent(parity.float_accuracy_ratio)),
            ("float and int8 agree", percent(parity.agreement_ratio)),
            (
                "mean, largest difference of logits",
                f"{parity.mean_logit_difference:.3f}, {parity.max_logit_difference:.3f}",
            ),
        ]
    for what, value in lines:
        stdout.print(f"{what:36}{value}", highlight=False, soft_wrap=True)
    if evaluation.shifts is not None:
        stdout.print(_shifts(evaluation.shifts))
    if evaluation.corner is not None:
        stdout.print(_corner(evaluation.corner))
    if evaluation.foreign is not None:
        stdout.print(_foreign(evaluation.foreign))


def _classes(figures: Figures) -> Table:
    table = Table("class", "images", "precision", "recall", "F1", "AUROC", title="By top class, refused or not")
    for each in figures.classes:
        ratios = each.precision_ratio, each.recall_ratio, each.f1_ratio, each.auroc_ratio
        table.add_row(each.code, str(each.images_count), *map(percent, ratios))
    return table


def _confusion(figures: Figures) -> Table:
    table = Table("truth", *(f"as {each.code}" for each in figures.classes))
    for each, row in zip(figures.classes, figures.confusion, strict=True):
        table.add_row(each.code, *map(str, row))
    return table


def _overall(figures: Figures) -> Table:
    table = Table("figure", "value", "95 % (bootstrap)")
    values = figures.model_dump()
    for name, title in _OVERALL.items():
        interval = (figures.intervals or {}).get(name)
        table.add_row(title, percent(values[name]), interval_cell(interval))
    return table


def _shifts(rows: Sequence[ShiftFigures]) -> Table:
    table = Table(
        "shift",
        "strength",
        "images",
        "top class right",
        "95 %",
        "answered",
        "answers right",
        "refused because",
        title="Under controlled shifts",
    )
    for row in rows:
        table.add_row(
            row.shift,
            row.strength,
            str(row.images_count),
            percent(row.top_accuracy_ratio),
            interval_cell(row.top_accuracy_interval_ratio),
            percent(row.answered_ratio),
            percent(row.answered_accuracy_ratio),
            counts_cell(row.refusals),
        )
    return table


def _corner(rows: Sequence[CornerFigures]) -> Table:
    table = Table("corner overwritten by", "images", "top class changes", "answer changes", "label changes")
    for row in rows:
        changed = row.top_changed_ratio, row.answer_changed_ratio, row.label_changed_ratio
        table.add_row(row.overwritten_by, str(row.images_count), *map(percent, changed))
    return table


def _foreign(rows: Sequence[ForeignFigures]) -> Table:
    table = Table(
        "folder",
        "images",
        "unreadable",
        "refused",
        "95 %",
        "because",
        "labels of the rest",
        title="Foreign images, which must be refused",
    )
    for row in rows:
        table.add_row(
            row.folder,
            str(row.images_count),
            str(len(row.unreadable)),
            percent(row.refused_ratio),
            interval_cell(row.refused_interval_ratio),
            counts_cell(row.refusals),
            counts_cell(row.answered_labels),
        )
    return table
