"""The names of the labels of the models in use, as a tally keeps them."""

from __future__ import annotations

from collections.abc import Iterable

from edge_agent.contracts import Label
from edge_agent.contracts.base import Contract


class TalliedLabel(Contract):
    """What a label of a model in use is called."""

    label: str
    name: str
    malignant: bool | None


def with_labels(known: tuple[TalliedLabel, ...], labels: Iterable[Label]) -> tuple[TalliedLabel, ...]:
    """``known``, followed by the labels of a model that are not among them."""
    codes = {each.label for each in known}
    new = (
        TalliedLabel(label=each.code, name=each.display_name, malignant=each.malignant)
        for each in labels
        if each.code not in codes
    )
    return (*known, *new)


def with_nameless(known: tuple[TalliedLabel, ...], counted: Iterable[str]) -> tuple[TalliedLabel, ...]:
    """``known``, followed by the counted codes that have no name in it."""
    codes = {each.label for each in known}
    nameless = (TalliedLabel(label=code, name=code, malignant=None) for code in counted if code not in codes)
    return (*known, *nameless)
