"""A cross-validation as a table."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from trainer.cross_validation.results import CrossValidated
from trainer.reports.markdown import interval, percent, table

CROSS_VALIDATION = "cross-validation.json"
TABLE = "cross-validation.md"
HEADINGS = ("fold", "images", "accuracy", "accuracy, shifted", "refused")


def rows(found: CrossValidated) -> list[tuple[str, ...]]:
    """One row per fold with Wilson's interval, and one for all images with intervals by bootstrap over groups."""
    figures = found.figures
    by_groups = (figures.intervals or {}).get("accuracy_ratio", figures.accuracy_interval_ratio)
    return [
        *(
            (
                str(fold.fold),
                str(fold.images_count),
                f"{percent(fold.accuracy_ratio)} ({interval(fold.accuracy_interval_ratio)})",
                percent(fold.shifted_accuracy_ratio),
                percent(fold.refused_ratio),
            )
            for fold in found.folds
        ),
        (
            "all",
            str(found.images_count),
            f"{percent(figures.accuracy_ratio)} ({interval(by_groups)})",
            f"{percent(found.shifted_accuracy_ratio)} ({interval(found.shifted_accuracy_interval_ratio)})",
            percent(figures.refused_ratio),
        ),
    ]


def to_markdown(found: CrossValidated) -> str:
    """The table, for documentation."""
    return table(HEADINGS, *rows(found))


def show_cross_validation(found: CrossValidated, stdout: Console) -> None:
    """Print what was done, the table, and how good the answers of the agent were."""
    recipe, figures = found.recipe, found.figures
    stdout.print(
        f"{found.dataset}: {found.images_count} images in {found.groups_count} groups of images that are alike; "
        f"MobileNetV2 {recipe.alpha:g}; teachers: {recipe.teachers}; variants: {recipe.variants}; "
        f"epochs: {recipe.epochs} at most",
        highlight=False,
        soft_wrap=True,
    )
    shown = Table(*HEADINGS)
    for row in rows(found):
        shown.add_row(*row)
    stdout.print(shown)
    stdout.print(
        f"Of the images that got a label, it was right for {percent(figures.answered_accuracy_ratio)}. "
        f"Malignant fields recognised: {percent(figures.malignant_recall_ratio)}; others recognised: "
        f"{percent(figures.malignant_specificity_ratio)}.",
        highlight=False,
        soft_wrap=True,
    )
