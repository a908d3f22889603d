"""The label sets in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from edge_agent.collection.settings import LabelChoice, LabelSet
from edge_agent.contracts.manifest import Label

DEFAULT_SET = "classes"
"""Not named after the bundle, so that another bundle with the same classes continues with the same labels."""


def label_sets(configured: Sequence[LabelSet], bundle: Iterable[Label]) -> Mapping[str, LabelSet]:
    """The configured sets by their name; without any, one with the bundle's labels."""
    if configured:
        return {each.name: each for each in configured}
    labels = tuple(
        LabelChoice(code=each.code, name=each.display_name, meaning=each.meaning, malignant=each.malignant)
        for each in bundle
    )
    return {DEFAULT_SET: LabelSet(name=DEFAULT_SET, labels=labels)}
