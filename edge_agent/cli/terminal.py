"""Where commands write to, and how an error looks."""

from __future__ import annotations

import sys

from rich.console import Console

from edge_agent.errors import EdgeAgentError

errors = Console(stderr=True, highlight=False, soft_wrap=True)
# Rich takes 80 columns where there is no terminal, which would cut paths into pieces.
output = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)


def print_error(error: EdgeAgentError) -> None:
    """Code, message and remedy, to standard error."""
    errors.print(f"error {error.code}: {error.message}", markup=False, style="red")
    if error.remedy:
        errors.print(error.remedy, markup=False)
