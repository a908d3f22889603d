"""The commands of ``edge-agent``, one file each."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Entry point of ``edge-agent`` and ``leukoscope``. Ctrl+C ends it quietly, also while it is loading."""
    try:
        from edge_agent.cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
