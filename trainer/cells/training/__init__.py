"""Trains the network of a cells bundle."""
