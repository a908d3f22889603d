"""Measures bundles on images that they were not trained on, and data sets by audit and probe."""
