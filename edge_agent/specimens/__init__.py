"""The slide that is being read."""
