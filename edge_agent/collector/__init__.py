"""``edge-agent-collector``: stores the broker's messages in a database. Of the agent it knows only the contract."""
