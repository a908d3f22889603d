"""Fits the head, the last layers, temperature, thresholds and familiarity, and keeps the run folder."""
