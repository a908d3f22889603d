"""What all commands say alike: where they write to, how an error looks, exit statuses."""

from __future__ import annotations

import logging
import sys

from rich.console import Console

from edge_agent.errors import EdgeAgentError

NOTICE = "Research use only. Not a medical device; no result may be used for diagnosis."

EXIT_FAILED, EXIT_USAGE, EXIT_SOME_UNREAD = 1, 2, 3

errors = Console(stderr=True, highlight=False, soft_wrap=True)
# Rich takes 80 columns where there is no terminal, which would cut paths into pieces.
output = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)


def print_error(error: EdgeAgentError) -> None:
    """Code, message and remedy, to standard error."""
    errors.print(f"error {error.code}: {error.message}", markup=False, style="red")
    if error.remedy:
        errors.print(error.remedy, markup=False)


def set_up_logging(level: str) -> None:
    """Log to standard error, from this level on, for commands that a person watches."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)-7s %(message)s", force=True)
