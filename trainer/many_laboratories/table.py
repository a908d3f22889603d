"""Renders the results as tables for the page, the README and a bundle's card."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from trainer.many_laboratories.figures import COMPLETE_RATIO, Estimate, LaboratoryFigures
from trainer.many_laboratories.measures import MATURE
from trainer.many_laboratories.results import ManyLaboratories
from trainer.reports.markdown import table

NOT_MEASURED = "Not measured yet."

_MARK = "†"

Figures = Sequence[LaboratoryFigures]


def render_table(found: ManyLaboratories | None) -> str:
    """The short table, for the README and for the card of a bundle."""
    if found is None:
        return NOT_MEASURED
    rows = [
        (
            f"`{each.laboratory}`",
            _area(each, "blast_auroc_ratio"),
            _percent(each, "sensitivity_ratio"),
            _area(each, "five_types_macro_f1_ratio"),
            _estimate_percent(each.refused),
            _area(_baseline(found, each), "blast_auroc_ratio", short=True),
            _area(_baseline(found, each), "five_types_macro_f1_ratio", short=True),
        )
        for each in (*found.left_out, *found.never_trained)
    ]
    head = (
        "laboratory, never trained on",
        "blasts against the rest, AUROC",
        "blasts found at 95 % specificity",
        "five mature types, macro F1",
        "white cells refused",
        "linear baseline: AUROC",
        "macro F1",
    )
    return _table(head, rows, (*found.left_out, *found.never_trained), _mean_line(found))


def _blasts(found: ManyLaboratories) -> str:
    head = (
        "laboratory left out",
        "cells (blasts)",
        "patients (without blasts)",
        "blasts against the rest, AUROC",
        "the same, cells not refused",
        "blasts against lymphocytes, AUROC",
        "blasts found at 95 % specificity",
        "linear baseline, AUROC",
    )
    chosen = [each for each in found.left_out if each.blasts_count]
    rows = [
        (
            f"`{each.laboratory}`",
            f"{each.cells_count:,} ({each.blasts_count:,})",
            "unknown"
            if each.patients_count is None
            else f"{each.patients_count} ({each.patients_without_blasts_count})",
            _area(each, "blast_auroc_ratio"),
            _area(each, "blast_auroc_ratio", judged=True),
            _area(each, "blast_lymphocyte_auroc_ratio"),
            _percent(each, "sensitivity_ratio"),
            _area(_baseline(found, each), "blast_auroc_ratio"),
        )
        for each in chosen
    ]
    return _table(head, rows, chosen, _mean_line(found))


def _calibration(found: ManyLaboratories) -> str:
    head = (
        "laboratory",
        "calibration error of the blast probability",
        "Brier score",
        "blasts named blasts",
        "other cells named blasts",
    )
    chosen = (*found.left_out, *found.never_trained)
    rows = [
        (
            f"`{each.laboratory}`",
            _percent(each, "calibration_error_ratio"),
            _area(each, "brier_score"),
            _percent(each, "blasts_named_ratio"),
            _percent(each, "others_named_blast_ratio"),
        )
        for each in chosen
    ]
    return _table(head, rows, chosen)


def _types(found: ManyLaboratories) -> str:
    head = (
        "laboratory",
        f"cells ({', '.join(MATURE)})",
        "macro F1, one of the five",
        "the same, cells not refused",
        "macro F1, any of nine",
        "linear baseline: one of the five",
        "any of nine",
    )
    chosen = [each for each in (*found.left_out, *found.never_trained) if "five_types_macro_f1_ratio" in _names(each)]
    rows = [
        (
            f"`{each.laboratory}`",
            ", ".join(f"{count:,}" for count in each.mature_types_count.values()),
            _area(each, "five_types_macro_f1_ratio"),
            _area(each, "five_types_macro_f1_ratio", judged=True),
            _area(each, "all_types_macro_f1_ratio"),
            _area(_baseline(found, each), "five_types_macro_f1_ratio"),
            _area(_baseline(found, each), "all_types_macro_f1_ratio"),
        )
        for each in chosen
    ]
    return _table(head, rows, chosen)


def _refused(found: ManyLaboratories) -> str:
    head = ("laboratory", "white cells", "refused", "why", "platelets", "refused")
    chosen = (*found.left_out, *found.never_trained)
    rows = [
        (
            f"`{each.laboratory}`",
            f"{each.cells_count:,}",
            _estimate_percent(each.refused),
            ", ".join(f"`{reason}` {count:,}" for reason, count in each.reasons_count.items()) or "-",
            f"{each.not_cells_count:,}" if each.not_cells_count else "none there",
            _estimate_percent(each.not_cells_refused),
        )
        for each in chosen
    ]
    return _table(head, rows, chosen)


def _splits(found: ManyLaboratories) -> str:
    head = (
        "laboratory",
        "figure",
        "laboratory left out",
        "patients apart, laboratory trained on",
        "random pictures, laboratory trained on",
    )
    names = {
        "blast_auroc_ratio": "blasts against the rest, AUROC",
        "blast_lymphocyte_auroc_ratio": "blasts against lymphocytes, AUROC",
        "five_types_macro_f1_ratio": "five mature types, macro F1",
    }
    ways = (found.left_out, found.patients, found.random)
    codes = list(dict.fromkeys(each.laboratory for way in ways for each in way))
    rows = []
    shown: list[LaboratoryFigures] = []
    for code in codes:
        of_ways = [next((each for each in way if each.laboratory == code), None) for way in ways]
        shown += [each for each in of_ways if each is not None]
        rows += [
            (f"`{code}`", words, *(_area(each, name) for each in of_ways))
            for name, words in names.items()
            if any(each is not None and name in _names(each) for each in of_ways)
        ]
    return _table(head, rows, shown)


def _probe(found: ManyLaboratories) -> str:
    if not found.probe:
        return NOT_MEASURED
    head = (
        "cells",
        "laboratories",
        "chance",
        "by the type alone",
        "by frozen features of the raw window",
        "by the bundle's features",
    )
    rows = [
        (
            f"{'all of these' if each.type is None else each.type} ({each.cells_count:,})",
            ", ".join(f"`{code}`" for code in each.laboratories),
            *(
                f"{100 * ratio:.0f} %"
                for ratio in (each.chance_ratio, each.type_alone_ratio, each.raw_ratio, each.bundle_ratio)
            ),
        )
        for each in found.probe
    ]
    return table(head, *rows)


def _scales(found: ManyLaboratories) -> str:
    head = ("laboratory", "a picture shows", "how the agent found it")
    chosen = (*found.left_out, *found.never_trained)
    rows = [
        (
            f"`{each.laboratory}`",
            f"{each.side_um:.1f} µm",
            each.scale.partition(", ")[2].removesuffix(" Give --um-per-pixel if you know it."),
        )
        for each in chosen
    ]
    return _table(head, rows, ())


def _models(found: ManyLaboratories) -> str:
    head = ("run", "bundle", "SHA-256 of its model")
    return table(
        head,
        *((f"`{run}`", f"{each.name} {each.version}", f"`{each.sha256[:16]}`") for run, each in found.models.items()),
    )


_BLOCKS: dict[str, Callable[[ManyLaboratories], str]] = {
    "blasts": _blasts,
    "calibration": _calibration,
    "types": _types,
    "refused": _refused,
    "splits": _splits,
    "probe": _probe,
    "scales": _scales,
    "models": _models,
}


def render_blocks(found: ManyLaboratories | None) -> dict[str, str]:
    """Each table as Markdown, by its name; tables without measurements say so."""
    return {
        "short": render_table(found),
        **{name: NOT_MEASURED if found is None else render(found) for name, render in _BLOCKS.items()},
    }


def _table(
    head: tuple[str, ...], rows: Sequence[tuple[str, ...]], shown: Iterable[LaboratoryFigures], last: str = ""
) -> str:
    if not rows:
        return NOT_MEASURED
    text = table(head, *rows)
    notes = [last] if last else []
    marked = [_mark_note(each) for each in shown]
    if _MARK in text and any(marked):
        notes.append(f"{_MARK} {' '.join(dict.fromkeys(each for each in marked if each))}")
    return "\n\n".join([text, *notes])


def _mark_note(each: LaboratoryFigures) -> str:
    lowest = min((one.defined_resamples_ratio for one in each.all_cells.estimates.values()), default=1.0)
    if lowest >= COMPLETE_RATIO:
        return ""
    drawn = (
        f"{each.cells_count:,} cells"
        if each.patients_count is None
        else f"{each.patients_count} patients, {each.patients_without_blasts_count} of them without blasts"
    )
    return (
        f"`{each.laboratory}`, {drawn}: {100 * (1 - lowest):.0f} % of the resamples had none of one kind and could not "
        "be used. The interval is of the others, and too narrow."
    )


def _mean_line(found: ManyLaboratories) -> str:
    own = found.mean_blast_auroc
    if own is None:
        return ""
    codes = [each.laboratory for each in found.left_out if "blast_auroc_ratio" in _names(each)]
    line = f"Mean over {', '.join(codes)}: blasts against the rest, AUROC {_ratio(own)}"
    base = None if found.baseline is None else found.baseline.mean_blast_auroc
    return f"{line}; linear baseline {_ratio(base)}." if base is not None else f"{line}."


def _names(each: LaboratoryFigures) -> set[str]:
    return set(each.all_cells.estimates)


def _baseline(found: ManyLaboratories, own: LaboratoryFigures) -> LaboratoryFigures | None:
    if found.baseline is None:
        return None
    return next((each for each in found.baseline.laboratories if each.laboratory == own.laboratory), None)


def _area(each: LaboratoryFigures | None, name: str, *, judged: bool = False, short: bool = False) -> str:
    estimate = _find(each, name, judged=judged)
    if estimate is None:
        return "-"
    return f"{estimate.value:.3f}" if short else _ratio(estimate)


def _percent(each: LaboratoryFigures | None, name: str) -> str:
    return _estimate_percent(_find(each, name, judged=False))


def _find(each: LaboratoryFigures | None, name: str, *, judged: bool) -> Estimate | None:
    if each is None:
        return None
    return (each.judged_cells if judged else each.all_cells).estimates.get(name)


def _ratio(estimate: Estimate) -> str:
    text = f"{estimate.value:.3f}"
    if estimate.interval is not None:
        text += " ({:.3f} to {:.3f})".format(*estimate.interval)
    return text + _marked(estimate)


def _estimate_percent(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    text = f"{100 * estimate.value:.1f} %"
    if estimate.interval is not None:
        text += " ({:.1f} to {:.1f})".format(*(100 * each for each in estimate.interval))
    return text + _marked(estimate)


def _marked(estimate: Estimate) -> str:
    return f" {_MARK}" if estimate.defined_resamples_ratio < COMPLETE_RATIO else ""
