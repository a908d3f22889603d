"""Words the parts of a report in a language."""

from __future__ import annotations

from edge_agent.catalogue import Catalogue
from edge_agent.contracts import CellsShare, Outcome, Reason, Report, Share

_ABSTENTIONS = frozenset(
    {
        Reason.UNFAMILIAR,
        Reason.LOW_CONFIDENCE,
        Reason.MODEL_UNPROVEN,
        # Reasons of a field that is decided only by its cells.
        Reason.SCALE_UNKNOWN,
        Reason.CELL_CUT,
    }
)


def reason_words(code: str, texts: Catalogue) -> str:
    """The meaning of a reason's or an error's code. For a code of another release it is only the name."""
    translated = texts.find(f"reason.{code}.sentence")
    if translated is not None:
        return translated
    try:
        return Reason(code).sentence
    except ValueError:
        return texts.text("report.error", code=code)


def reasons_by_outcome(report: Report) -> dict[Outcome, dict[str, int]]:
    """The number of readings for each reason, under the outcome that it leads to, the most frequent first."""
    found: dict[Outcome, dict[str, int]] = {outcome: {} for outcome in Outcome}
    for code, count in sorted(report.reasons_count.items(), key=lambda item: (-item[1], item[0])):
        found[_outcome_of(code)][code] = count
    return found


def _outcome_of(code: str) -> Outcome:
    try:
        return Outcome.ABSTAINED if Reason(code) in _ABSTENTIONS else Outcome.REJECTED
    except ValueError:
        return Outcome.FAILED


def share_words(share: Share | CellsShare, texts: Catalogue) -> tuple[str, str]:
    """The share and its interval; empty if there is none."""
    if share.ratio is None or share.low_ratio is None or share.high_ratio is None:
        return "", ""
    return (
        texts.text("report.percent", value=texts.percent(share.ratio)),
        texts.text("report.percent_range", low=texts.percent(share.low_ratio), high=texts.percent(share.high_ratio)),
    )


def scale_words(report: Report, texts: Catalogue) -> str:
    """The size of a pixel and how it is known."""
    scale = report.scale
    if scale is None:
        return texts.text("report.unknown")
    source = texts.text(f"report.scale.{scale.source}")
    # Three digits: no scale is known better than that.
    decimals = 3 if scale.um_per_pixel >= 0.1 else 4
    return texts.text("report.scale_value", value=texts.number(scale.um_per_pixel, decimals), source=source)
