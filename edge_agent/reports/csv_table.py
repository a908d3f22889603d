"""The report of a slide as CSV, for a spreadsheet or a program."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from edge_agent.catalogue import Catalogue
from edge_agent.contracts import CellsShare, ModelIdentity, Report, Share, SlideDifferential
from edge_agent.specimens.statement import statement

COLUMNS = ("report", "specimen", "slide", "measure", "of", "value")

_Row = tuple[str, str, object]
"""Measure, the code that it belongs to, and value."""


def report_csv(report: Report, texts: Catalogue) -> bytes:
    """One row per measure, so that the tables of several slides can be put below each other.

    UTF-8, RFC 4180. ``measure`` has the unit in its name, and ``of`` is the outcome, reason, label or model that it
    belongs to, by its code. Names and numbers are the same in every language; only the statement is translated.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for measure, of, value in _rows(report, texts):
        writer.writerow((report.id, report.specimen.id, report.specimen.slide, measure, of, _shown(value)))
    return out.getvalue().encode()


def _rows(report: Report, texts: Catalogue) -> Iterator[_Row]:
    written = report.model_dump(mode="json")
    for name in ("use", "site", "device", "began_at", "finished_at", "software", "demonstration", "provisional"):
        yield name, "", written[name]
    for name in ("wished_fields_count", "readings_count", "judged_count", "repeated_count"):
        yield name, "", written[name]
    for outcome, count in report.outcomes_count.items():
        yield "outcome_readings_count", outcome.value, count
    for reason, count in report.reasons_count.items():
        yield "reason_readings_count", reason, count
    for label in report.labels:
        yield "label_malignant", label.label, label.malignant
        yield from _share_rows("label", label.label, label)
    if report.malignant is not None:
        yield from _share_rows("malignant", "", report.malignant)
    if report.differential is not None:
        yield from _differential_rows(report.differential)
    if report.scale is not None:
        yield "scale_um_per_pixel", report.scale.source, report.scale.um_per_pixel
    yield from _model_rows("model", report.models or (report.model,))
    yield "statement", texts.language, statement(report, texts)


def _differential_rows(found: SlideDifferential) -> Iterator[_Row]:
    yield "cells_demonstration", "", found.demonstration
    yield "cells_provisional", "", found.provisional
    yield "cells_fields_count", "", found.fields_count
    yield "found_cells_count", "", found.cells_count
    yield "judged_cells_count", "", found.judged_count
    yield "refused_cells_count", "", found.refused_count
    for each in found.types:
        yield "type_malignant", each.type, each.malignant
        yield from _share_rows("type", each.type, each)
    yield from _share_rows("blasts", "", found.blasts)
    yield from _model_rows("cells_model", found.models)


def _model_rows(name: str, models: tuple[ModelIdentity, ...]) -> Iterator[_Row]:
    for model in models:
        yield f"{name}_version", model.name, model.version
        yield f"{name}_sha256", model.name, model.sha256
        yield f"{name}_preprocessing", model.name, model.preprocessing
        yield f"{name}_runtime", model.name, model.runtime


def _share_rows(name: str, of: str, share: Share | CellsShare) -> Iterator[_Row]:
    if isinstance(share, Share):
        yield f"{name}_fields_count", of, share.fields_count
    else:
        yield f"{name}_cells_count", of, share.cells_count
    yield f"{name}_ratio", of, share.ratio
    yield f"{name}_low_ratio", of, share.low_ratio
    yield f"{name}_high_ratio", of, share.high_ratio


def _shown(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value
