"""The commands of ``edge-agent-collector``, one file each."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Entry point of ``edge-agent-collector``. Ctrl+C ends it quietly, even while it is loading."""
    try:
        from edge_agent.collector.cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
