"""``edge-agent-collector``: stores the broker's messages in a database. Knows only the contract of the agent."""
