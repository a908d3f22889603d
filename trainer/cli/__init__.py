"""The command ``trainer``: from class folders to a bundle that the agent can use."""

from trainer.cli.entry_point import main

__all__ = ["main"]
