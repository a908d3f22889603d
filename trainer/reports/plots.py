"""The figures of an evaluation, an audit and a probe, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from trainer.evaluation.audit import Audit
from trainer.evaluation.evaluate import Evaluation
from trainer.evaluation.figures import Figures
from trainer.evaluation.shifts import ShiftFigures
from trainer.files import make_folder

_DPI = 120
_INK, _SOFT, _WARN = "#24476b", "#b7c9dc", "#b5502b"


def save(figures: Mapping[str, Figure], out: Path) -> list[Path]:
    """Write each figure as ``<name>.png`` into the folder ``out``."""
    make_folder(out)
    paths = []
    for name, figure in figures.items():
        path = out / f"{name}.png"
        # Without its software's name and version, the same figures make the same file.
        figure.savefig(path, dpi=_DPI, metadata={"Software": None})
        paths.append(path)
    return paths


def evaluation_plots(evaluation: Evaluation) -> dict[str, Figure]:
    """Every plot of an evaluation, by the name of its file."""
    figures = evaluation.figures
    drawn = {
        "confusion": confusion(figures),
        "reliability": reliability(figures),
        "risk-coverage": risk_coverage(figures),
    }
    if evaluation.shifts is not None:
        drawn["shifts"] = shifts(evaluation.shifts)
    return drawn


def confusion(figures: Figures) -> Figure:
    """Truth against top class, with the counts written in, shaded by share of the truth."""
    codes = [each.code for each in figures.classes]
    counts = np.array(figures.confusion)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        colour = "white" if share[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(codes)), codes, rotation=30, ha="right")
    axes.set_yticks(range(len(codes)), codes)
    axes.set(xlabel="top class", ylabel="truth", title=f"{figures.images_count} images, refused ones too")
    return figure


def reliability(figures: Figures) -> Figure:
    """Confidence against accuracy; the size of a point is its share of the images."""
    figure = Figure(figsize=(4.8, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=_SOFT, linestyle="--")
    confidence = [each.confidence_ratio for each in figures.reliability]
    accuracy = [each.accuracy_ratio for each in figures.reliability]
    sizes = [20 + 400 * each.images_count / figures.images_count for each in figures.reliability]
    axes.scatter(confidence, accuracy, s=sizes, color=_INK, alpha=0.7)
    error = 100 * figures.expected_calibration_error_ratio
    axes.set(xlabel="confidence", ylabel="accuracy", title=f"expected calibration error {error:.2f} %")
    return figure


def risk_coverage(figures: Figures) -> Figure:
    """Error among the most confident images against their share, with the bundle's own point."""
    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    axes = figure.subplots()
    coverage = [point.coverage_ratio for point in figures.risk_coverage]
    axes.plot(coverage, [point.error_ratio for point in figures.risk_coverage], color=_INK, label="by confidence")
    if figures.answered_accuracy_ratio is not None:
        shipped = (1 - figures.refused_ratio, 1 - figures.answered_accuracy_ratio)
        axes.plot(*shipped, "o", color=_WARN, label="as shipped")
    axes.set(xlabel="share answered", ylabel="error of the answered", ylim=(-0.002, None))
    axes.legend()
    return figure


def shifts(rows: Sequence[ShiftFigures]) -> Figure:
    """Top-class accuracy, share answered and accuracy of the answers under each shift."""
    names = [f"{row.shift} {row.strength}" if len(row.strength) < 30 else row.shift for row in rows]
    places = np.arange(len(rows))
    figure = Figure(figsize=(8.5, 1.2 + 0.28 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.barh(places, [row.answered_ratio for row in rows], color=_SOFT, label="answered")
    low, high = np.array([row.top_accuracy_interval_ratio for row in rows]).T
    top = np.array([row.top_accuracy_ratio for row in rows])
    axes.errorbar(
        top, places, xerr=np.clip([top - low, high - top], 0, None), fmt="o", color=_INK, label="top class right"
    )
    answers = [np.nan if row.answered_accuracy_ratio is None else row.answered_accuracy_ratio for row in rows]
    axes.plot(answers, places, "x", color=_WARN, label="answers right")
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.set(xlabel="share of images", xlim=(0, 1.02))
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def shortcuts(audit: Audit) -> Figure:
    """How well each shortcut predicts the classes."""
    places = np.arange(len(audit.shortcuts))
    accuracy = np.array([shortcut.accuracy_ratio for shortcut in audit.shortcuts])
    low, high = np.array([shortcut.accuracy_interval_ratio for shortcut in audit.shortcuts]).T
    figure = Figure(figsize=(7, 1.2 + 0.45 * len(places)), layout="constrained")
    axes = figure.subplots()
    axes.barh(places, accuracy, color=[_WARN if shortcut.reveals_label else _SOFT for shortcut in audit.shortcuts])
    axes.errorbar(accuracy, places, xerr=np.clip([accuracy - low, high - accuracy], 0, None), fmt="none", color="black")
    axes.axvline(audit.chance_ratio, color="black", linestyle="--", label="always the commonest class")
    axes.set_yticks(places, [shortcut.name for shortcut in audit.shortcuts])
    axes.invert_yaxis()
    axes.set(xlabel="accuracy without a cell", xlim=(0, 1), title=f"{audit.dataset}, {audit.images_count} images")
    axes.legend(loc="lower right")
    return figure
