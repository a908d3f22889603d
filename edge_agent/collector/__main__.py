"""``python -m edge_agent.collector``."""

from __future__ import annotations

from edge_agent.collector.cli import main

if __name__ == "__main__":
    main()
