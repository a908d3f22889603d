"""The Typer application to which every benchmark adds its command."""

from __future__ import annotations

import typer

app = typer.Typer(help="Measure Leukoscope on this machine.", no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _group() -> None:
    """A callback keeps a single command from becoming the whole program."""
