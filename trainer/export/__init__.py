"""From a run to an int8 file and a bundle."""
