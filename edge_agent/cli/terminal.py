"""What all commands share: consoles, the format of errors, exit statuses."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys

from rich.console import Console

from edge_agent.errors import EdgeAgentError

NOTICE = "Research use only. Not a medical device; no result may be used for diagnosis."

EXIT_FAILED, EXIT_USAGE, EXIT_SOME_UNREAD, EXIT_INTERRUPTED = 1, 2, 3, 130

# Without emoji=False a fingerprint with ":CD:" in it would be printed with a picture of a disc.
errors = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
# Without a terminal Rich assumes 80 columns, which would cut tables for no reason.
_WIDE = "COLUMNS" not in os.environ and not (sys.stdout and sys.stdout.isatty())
output = Console(highlight=False, emoji=False, soft_wrap=True, width=160 if _WIDE else None)


def print_error(error: EdgeAgentError) -> None:
    """Print code, message and remedy to standard error."""
    # Standard error may be full or closed; then the error cannot be shown.
    with contextlib.suppress(OSError):
        errors.print(f"error {error.code}: {error.message}", markup=False, style="red")
        if error.remedy:
            errors.print(error.remedy, markup=False)


def write_json_line(text: str) -> None:
    """Write a JSON document in one line. If the output is not UTF-8, other characters become JSON escapes."""
    if not (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf"):
        text = re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found.group())[1:-1], text)
    sys.stdout.write(text + "\n")


def set_up_logging(level: str) -> None:
    """Log to standard error from this level on."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)-7s %(message)s", force=True)
