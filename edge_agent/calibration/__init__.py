"""Measures the scale of a camera's frames, and checks whether their light is right."""
