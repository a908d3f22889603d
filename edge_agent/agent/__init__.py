"""Wiring and life cycle: builds the parts, starts, reloads and stops them."""

from edge_agent.agent.agent import Agent
from edge_agent.agent.factory import make_analyzer

__all__ = ["Agent", "make_analyzer"]
