"""Finds the scale of a camera's frames, and whether their light is right."""
