"""'trainer': from class folders to a bundle that the agent can use."""

from __future__ import annotations

import os
import sys

from edge_agent.errors import EdgeAgentError
from trainer.cli import data_commands, model_commands
from trainer.cli.app import app
from trainer.progress import console

__all__ = ["app", "data_commands", "main", "model_commands"]

EXIT_ERROR = 2


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; what a user can mend becomes one line on stderr and exit 2."""
    # TensorFlow's notices of its own start would hide what the trainer says.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        app(arguments)
    except EdgeAgentError as error:
        console.print(f"error {error.code}: {error.message}", style="red", markup=False, soft_wrap=True)
        console.print(error.advice, markup=False, soft_wrap=True)
        sys.exit(EXIT_ERROR)
