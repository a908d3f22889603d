"""The commands of ``edge-agent``, one file each."""

from edge_agent.cli.app import app, main

__all__ = ["app", "main"]
