"""What every program of ours does around its commands: errors, exit statuses, ``--version``."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from edge_agent import __version__
from edge_agent.cli.streams import explain_os_error, finish_streams, prepare_streams
from edge_agent.cli.terminal import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, errors, output, print_error
from edge_agent.errors import ConfigError, EdgeAgentError, OutputUnwritable


def run_program(app: typer.Typer) -> None:
    """Run a command and exit. User errors end in one clear error, never in a traceback."""
    prepare_streams()
    status = _run(app)
    unwritten = finish_streams()
    if unwritten is not None:
        print_error(unwritten)
        finish_streams()
        status = EXIT_FAILED
    sys.exit(status)


def _run(app: typer.Typer) -> int:
    """The exit status."""
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_FAILED
    except EdgeAgentError as error:
        print_error(error)
        return EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except OSError as error:
        # ``main`` reports output that could not be written; a reader that closed a pipe needs no report.
        explained = explain_os_error(error)
        if not isinstance(error, BrokenPipeError) and not isinstance(explained, OutputUnwritable):
            print_error(explained)
        return EXIT_INTERRUPTED if _was_interrupted(error) else EXIT_FAILED
    except Exception as error:
        # Parts that had only partly started may fail to stop.
        if _was_interrupted(error):
            return EXIT_INTERRUPTED
        raise
    return 0


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether ``error`` arose while Ctrl+C was being handled."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


def _version(value: bool) -> None:  # noqa: FBT001 - Typer's way of an option that acts at once
    if value:
        output.print(f"leukoscope {__version__}")
        raise typer.Exit


def _no_color(value: bool) -> None:  # noqa: FBT001 - as above
    if value:
        output.no_color = errors.no_color = True
        # Typer's own help and usage errors use it.
        os.environ["NO_COLOR"] = "1"


def common_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    no_color: Annotated[
        bool,
        typer.Option(
            "--no-color",
            callback=_no_color,
            is_eager=True,
            help="No colours. The variable NO_COLOR has the same effect.",
        ),
    ] = False,
) -> None:
    """Options of every program; the callback of its ``Typer``."""
