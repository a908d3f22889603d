"""From the broker into a database: ``edge-agent-collector``. Knows of the agent only its contract."""
