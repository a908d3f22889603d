"""Asks for one line on the terminal."""

from __future__ import annotations

import sys

import typer

from edge_agent.cli.terminal import output
from edge_agent.errors import InputEnded


def ask(question: str, default: str | None, *, secret: bool = False) -> str:
    """The answer; ``default`` if it is empty. Raises ``InputEnded``."""
    try:
        answer: str = typer.prompt(
            question,
            default=default,
            # Without a terminal there is no echo to hide.
            hide_input=secret and sys.stdin.isatty(),
            show_default=not secret and bool(default),
        )
    except typer.Abort as abort:
        # Typer raises this for Ctrl+C and for the end of the input.
        if isinstance(abort.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        output.print()
        raise InputEnded("The input ended before the last question; nothing was changed.") from None
    return answer
