"""``python -m edge_agent.cli``: the same as ``edge-agent``."""

from edge_agent.cli.app import main

if __name__ == "__main__":
    main()
