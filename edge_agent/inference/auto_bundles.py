"""The bundles among which the agent chooses by the speed of the computer."""

from __future__ import annotations

from pathlib import Path

from edge_agent.errors import HeadMismatch
from edge_agent.inference.bundle import MODEL, load_bundle
from edge_agent.inference.head import open_head
from edge_agent.inference.signature import Trust

AUTO_BUNDLES = ("accurate", "fast")
"""The most accurate first. All have the same labels."""


def auto_bundles(head: Path | None, trust: Trust | None = None) -> tuple[str, ...]:
    """The names of the bundles to choose from, the most accurate first; with a head, only the bundle it was fitted on.

    Raises ``HeadMismatch`` if the head was fitted on none of them, and what ``open_head`` and ``load_bundle`` raise.
    """
    if head is None:
        return AUTO_BUNDLES
    parent = open_head(head, trust).manifest.parent.sha256
    fitting = tuple(name for name in AUTO_BUNDLES if load_bundle(name).manifest.files[MODEL] == parent)
    if not fitting:
        raise HeadMismatch(
            f"The head in {head} was fitted on none of the bundles that 'auto' chooses from "
            f"({', '.join(AUTO_BUNDLES)}).",
            remedy="Name the bundle that it was fitted on in analysis.bundle.",
        )
    return fitting
