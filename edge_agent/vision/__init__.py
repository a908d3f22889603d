"""Pure functions on arrays: no I/O, no state, and no imports from the agent except errors and the settings base."""
