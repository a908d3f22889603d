"""TOML files as people write them: reads them, and says in which line an error is. Knows no settings."""
