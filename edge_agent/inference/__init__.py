"""Bundles and what runs them: load and verify, TFLite runtime, classifier, familiarity, decision."""

from edge_agent.inference.bundle import Bundle, load_bundle, shipped_bundles
from edge_agent.inference.classifier import Classification, Classifier
from edge_agent.inference.decision import decide

__all__ = ["Bundle", "Classification", "Classifier", "decide", "load_bundle", "shipped_bundles"]
