"""Reads TOML files as people write them, and says in which line an error is. Knows no settings."""
