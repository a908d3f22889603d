"""A bundle's model on an Edge TPU, in a process of its own that may stall or crash.

Nothing is imported here: the process imports this package, and has to stay small.
"""
