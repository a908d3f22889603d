"""From a frame to a reading, and from a reading to the message that leaves the device."""

from edge_agent.analysis.analyzer import Analyzer
from edge_agent.analysis.reading import Reading

__all__ = ["Analyzer", "Reading"]
