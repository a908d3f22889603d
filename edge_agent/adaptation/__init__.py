"""Fitting a head on the device: 'trainer adapt' as a process of its own, beside the readings."""
