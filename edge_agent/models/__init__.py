"""The bundles that ship with the agent, one folder each."""
