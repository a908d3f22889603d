"""Turns frames into readings, and readings into the messages that leave the device."""

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import Reading

__all__ = ["Analyzer", "Reading"]
