"""Puts a report into sentences, from the same figures and always in the same words."""

from __future__ import annotations

from edge_agent.catalogue import Catalogue
from edge_agent.contracts import CellsShare, Outcome, Report, Share, SlideDifferential

FEW_COUNT = 30
"""With fewer classified fields an interval spans up to 35 points."""

FEW_CELLS_COUNT = 100
"""Laboratories count at least as many for a differential; with fewer an interval spans up to 19 points."""


def statement(report: Report, texts: Catalogue) -> str:
    """The counts, of how many fields, with intervals, and what they may be used for. Never a finding."""
    sentences = [
        *_warnings(report, texts),
        *_counted(report, texts),
        *_shares(report, texts),
        *_cells(report, texts),
        texts.text("report.statement.use"),
    ]
    return " ".join(sentences)


def _warnings(report: Report, texts: Catalogue) -> list[str]:
    found = []
    if report.demonstration:
        found.append(texts.text("report.statement.demonstration"))
    if report.provisional:
        found.append(texts.text("report.statement.provisional"))
    return found


def _counted(report: Report, texts: Catalogue) -> list[str]:
    outcomes = report.outcomes_count
    classified, abstained = outcomes.get(Outcome.CLASSIFIED, 0), outcomes.get(Outcome.ABSTAINED, 0)
    rejected, failed = outcomes.get(Outcome.REJECTED, 0), outcomes.get(Outcome.FAILED, 0)
    judged = classified + abstained
    wished = report.wished_fields_count
    if judged == 0:
        found = [texts.text("report.statement.nothing")]
    else:
        found = [texts.text("report.statement.judged", fields=texts.counted("report.fields", judged))]
    if wished is not None and judged < wished:
        found.append(texts.text("report.statement.fewer_than_wished", wished=wished))
    if judged:
        found.append(texts.text("report.statement.outcomes", classified=classified, abstained=abstained))
    if rejected or failed or report.repeated_count:
        found.append(
            texts.text("report.statement.left_out", rejected=rejected, failed=failed, repeated=report.repeated_count)
        )
    return found


def _shares(report: Report, texts: Catalogue) -> list[str]:
    malignant = report.malignant
    if malignant is None or malignant.ratio is None:
        return []
    classified = report.outcomes_count.get(Outcome.CLASSIFIED, 0)
    of = texts.counted("report.of_classified_fields", classified)
    found = [texts.text("report.statement.malignant", of=of, share=_in_words(malignant, texts))]
    commonest = max(report.labels, key=lambda each: each.fields_count, default=None)
    if commonest is not None:
        share = _in_words(commonest, texts)
        found.append(texts.text("report.statement.commonest", label=commonest.name, share=share))
    found.append(texts.text("report.statement.interval"))
    if classified < FEW_COUNT:
        found.append(texts.text("report.statement.few", least=FEW_COUNT))
    if report.models_count > 1:
        found.append(texts.text("report.statement.models", count=report.models_count))
    return found


def _cells(report: Report, texts: Catalogue) -> list[str]:
    found = report.differential
    if found is None:
        return []
    beside = found.provisional and not report.provisional
    warnings = [texts.text("report.statement.cells.provisional")] if beside else []
    fields = texts.counted("report.in_fields", found.fields_count)
    counted = texts.text(
        "report.statement.cells", cells=found.cells_count, in_fields=fields, judged=found.judged_count,
        refused=found.refused_count,
    )  # fmt: skip
    return [*warnings, counted, *_types(found, texts)]


def _types(found: SlideDifferential, texts: Catalogue) -> list[str]:
    if found.judged_count == 0:
        return []
    of = texts.counted("report.of_judged_cells", found.judged_count)
    sentences = [texts.text("report.statement.blasts", of=of, share=_in_words(found.blasts, texts))]
    commonest = max(found.types, key=lambda each: each.cells_count, default=None)
    if commonest is not None:
        share = _in_words(commonest, texts)
        sentences.append(texts.text("report.statement.commonest_type", type=commonest.name, share=share))
    sentences.append(texts.text("report.statement.cells.interval"))
    if found.judged_count < FEW_CELLS_COUNT:
        sentences.append(texts.text("report.statement.cells.few", least=FEW_CELLS_COUNT))
    if found.models_count > 1:
        sentences.append(texts.text("report.statement.cells.models", count=found.models_count))
    return sentences


def _in_words(share: Share | CellsShare, texts: Catalogue) -> str:
    ratio, low, high = share.ratio or 0.0, share.low_ratio or 0.0, share.high_ratio or 0.0
    return texts.text(
        "report.statement.share",
        count=share.fields_count if isinstance(share, Share) else share.cells_count,
        percent=texts.percent(ratio),
        low=texts.percent(low),
        high=texts.percent(high),
    )
