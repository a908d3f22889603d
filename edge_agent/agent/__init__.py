"""Wiring and life cycle: builds the parts, starts, reloads and stops them."""
