"""Keeps frames that the clinic agreed to keep, and the labels that people give them."""
