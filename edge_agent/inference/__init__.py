"""Loads, verifies and runs bundles: TFLite runtime, classifier, familiarity, decision.

Names are imported on first use: the process of an Edge TPU needs only the runtime.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_agent.inference.bundle import Bundle, load_bundle, shipped_bundles
    from edge_agent.inference.classifier import Classification, Classifier
    from edge_agent.inference.decision import decide

_EXPORTS = {
    "Bundle": "bundle",
    "Classification": "classifier",
    "Classifier": "classifier",
    "decide": "decision",
    "load_bundle": "bundle",
    "shipped_bundles": "bundle",
}

__all__ = ["Bundle", "Classification", "Classifier", "decide", "load_bundle", "shipped_bundles"]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
