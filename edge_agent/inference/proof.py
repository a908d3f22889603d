"""Whether a bundle's or head's own record shows that its answers can be used.

The judgement is made anew from the counts in the manifest, on the device as in the trainer. Anything that the manifest
concludes from them, such as an interval or a verdict, is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from edge_agent.contracts.manifest import Evidence, Label
from edge_agent.intervals import wilson_interval
from edge_agent.settings import Settings


class ProofLimits(Settings):
    """Section ``[proof]``: what a bundle's record must show before its readings may be ``classified``."""

    min_images_count: int = Field(
        default=20, ge=10, description="Images of each class that were trained on and held out, together."
    )
    min_held_out_images_count: int = Field(default=5, ge=5, description="Images of each class that were held out.")
    min_specimens_count: int = Field(
        default=3, ge=1, description="Specimens or subjects of each class, where the data set names them."
    )
    min_accuracy_ratio: float = Field(
        default=0.8, ge=0.5, le=1, description="Lower end of the 95 % interval of the accuracy on held-out images."
    )
    min_class_accuracy_ratio: float = Field(
        default=0.5,
        ge=0.25,
        le=1,
        description="Right answers among the held-out images of each class, so that none hides behind the others.",
    )
    max_permutation_ratio: float = Field(
        default=0.01, gt=0, le=0.05, description="Share of shuffled labellings that may fit the answers as well."
    )


DEFAULT_PROOF = ProofLimits()


def unproven_reasons(labels: Sequence[Label], evidence: Evidence | None, limits: ProofLimits) -> tuple[str, ...]:
    """What the record of a bundle or head with these labels lacks, each as a sentence; empty if it lacks nothing."""
    if evidence is None:
        return ("There is no record of figures on held-out images.",)
    reasons = []
    recorded = {each.code: each for each in evidence.classes}
    for label in labels:
        found = recorded[label.code]
        images = found.training_images_count + found.held_out_images_count
        if images < limits.min_images_count:
            reasons.append(_too_few(label.code, images, "images", limits.min_images_count))
        if found.held_out_images_count < limits.min_held_out_images_count:
            least = limits.min_held_out_images_count
            reasons.append(_too_few(label.code, found.held_out_images_count, "held-out images", least))
        if found.specimens_count is not None and found.specimens_count < limits.min_specimens_count:
            reasons.append(_too_few(label.code, found.specimens_count, "specimens", limits.min_specimens_count))
        # Overall accuracy can be high while a rare class is never found, and that class may be the malignant one.
        if found.held_out_right_count < limits.min_class_accuracy_ratio * found.held_out_images_count:
            reasons.append(
                f"Class '{label.code}' was named in {found.held_out_right_count} of its {found.held_out_images_count} "
                f"held-out images (at least {100 * limits.min_class_accuracy_ratio:g} % are needed)."
            )
    right, total = counts(evidence)
    # As many independent images as would make the accuracy as certain.
    low, _ = wilson_interval(right / evidence.design_effect, total / evidence.design_effect)
    largest = max(each.held_out_images_count for each in evidence.classes) / max(1, total)
    if low < limits.min_accuracy_ratio:
        reasons.append(
            f"{right} of {total} held-out images are right, so the accuracy may be as low as {100 * low:.1f} % "
            f"(at least {100 * limits.min_accuracy_ratio:g} % is needed)."
        )
    elif low <= largest:
        reasons.append(
            f"The accuracy may be as low as {100 * low:.1f} %, and always naming the commonest class would reach "
            f"{100 * largest:.1f} %."
        )
    if evidence.permutation_ratio > limits.max_permutation_ratio:
        reasons.append(
            f"{100 * evidence.permutation_ratio:.2g} % of shuffled labellings fit the answers as well "
            f"(at most {100 * limits.max_permutation_ratio:g} % may)."
        )
    reasons.extend(
        f"{each.name.capitalize()} alone names {each.right_count} of the {total} held-out images rightly, the model "
        f"{right}: it may not be looking at cells."
        for each in evidence.baselines
        if each.right_count >= right
    )
    return tuple(reasons)


def counts(evidence: Evidence) -> tuple[int, int]:
    """Right answers and images, over all classes."""
    return (
        sum(each.held_out_right_count for each in evidence.classes),
        sum(each.held_out_images_count for each in evidence.classes),
    )


def _too_few(code: str, found: int, what: str, least: int) -> str:
    return f"Class '{code}' has {found} {what if found != 1 else what.removesuffix('s')} (at least {least} are needed)."
