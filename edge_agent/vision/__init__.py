"""Pure functions on arrays: no I/O, no state, nothing of ours but the errors and settings base."""
