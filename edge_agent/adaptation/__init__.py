"""Fits a head on the device: runs 'trainer adapt' as a process of its own, beside the readings."""
