"""Wiring and life cycle: builds the parts, starts, reloads and stops them."""

from edge_agent.agent.agent import Agent
from edge_agent.agent.factory import make_analyzer
from edge_agent.agent.page_device import PageDevice

__all__ = ["Agent", "PageDevice", "make_analyzer"]
