"""Runs a candidate beside the model in use: it judges the same fields, and none of its answers is published."""
