"""``python -m edge_agent.cli``: the same as ``edge-agent``."""

from edge_agent.cli import main

if __name__ == "__main__":
    main()
