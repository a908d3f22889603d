"""Trains a recipe several times, so that every image is judged once by a model that never saw its like."""
