"""Puts figures into plain words, for the report and the card."""

from __future__ import annotations

from collections.abc import Mapping

from trainer.site.fine_tune import FineTuneComparison
from trainer.site.refusals import Refusals

_REASONS = {"unfamiliar": "unlike the site's pictures", "low_confidence": "not sure enough"}


def percent(ratio: float | None) -> str:
    """Percent to one decimal; a dash if not defined."""
    return "-" if ratio is None else f"{100 * ratio:.1f} %"


def interval(ratios: tuple[float, float] | None) -> str:
    """A 95 % interval of ratios; a dash if there is none."""
    return "-" if ratios is None else f"{100 * ratios[0]:.1f} to {100 * ratios[1]:.1f} %"


def counted(count: int, what: str) -> str:
    """A count with its noun, which gets an s in the plural."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def joined(parts: Mapping[str, int]) -> str:
    """Counts with their names in a row; "none" if there are none."""
    return ", ".join(f"{count:,} {name}" for name, count in parts.items()) or "none"


def fine_tuned(found: FineTuneComparison) -> str:
    """What training the upper layers instead would achieve."""
    low, high = found.gain_interval_ratio
    if found.fine_tuned_is_better:
        verdict = "That is certainly better, so use the bundle that was written beside the head."
    elif high < 0:
        verdict = "That is certainly worse, so use the head."
    else:
        verdict = "That is not certainly better, so use the head: it is small, and leaves the network as it is."
    return (
        f"A network with its upper layers trained on these pictures is right in "
        f"{percent(found.fine_tuned_accuracy_ratio)} of {counted(found.images_count, 'held-out picture')}, the head in "
        f"{percent(found.head_accuracy_ratio)}: {100 * found.gain_ratio:+.1f} points (between {100 * low:+.1f} and "
        f"{100 * high:+.1f}). {verdict}"
    )


def reasons(found: Refusals) -> str:
    """The reasons why pictures were refused, in words."""
    return joined({_REASONS.get(reason, reason.replace("_", " ")): count for reason, count in found.reasons.items()})
