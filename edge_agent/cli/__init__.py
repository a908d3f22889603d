"""The commands of ``edge-agent``, one file each."""

from edge_agent.cli.app import main

__all__ = ["main"]
