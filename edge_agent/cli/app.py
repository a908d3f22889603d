"""``edge-agent``: the commands of the device."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from edge_agent import __version__
from edge_agent.cli.lazy import LazyCommand, LazyCommands
from edge_agent.cli.streams import explain_os_error, finish_streams, prepare_streams
from edge_agent.cli.terminal import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, NOTICE, errors, output, print_error
from edge_agent.errors import ConfigError, EdgeAgentError, OutputUnwritable


class Commands(LazyCommands):
    """One module each."""

    lazy = {  # noqa: RUF012 - the base declares it
        "run": LazyCommand("edge_agent.cli.run:run", "Run the agent until SIGTERM."),
        "demo": LazyCommand(
            "edge_agent.cli.demo:demo",
            "Start a broker and an agent on this machine and show what arrives, until interrupted.",
        ),
        "classify": LazyCommand(
            "edge_agent.cli.classify:classify",
            "Judge images, folders and videos. Exits with 3 if anything could not be read.",
        ),
        "setup": LazyCommand(
            "edge_agent.cli.setup:setup",
            "Ask for site, device, broker, camera and bundle, write the configuration, and test it.",
        ),
        "check-config": LazyCommand(
            "edge_agent.cli.check_config:check_config",
            "Check a configuration and the files it names, without starting anything.",
        ),
        "calibrate": LazyCommand(
            "edge_agent.cli.calibrate:calibrate",
            "Measure the size of a pixel and check the light, by a thin smear or a stage micrometer.",
        ),
        "doctor": LazyCommand(
            "edge_agent.cli.doctor:doctor",
            "Test each part, list the cameras, and say how to fix what fails.",
        ),
        "report": LazyCommand(
            "edge_agent.cli.report:report", "List the reports of finished slides, or write one as PDF, CSV or JSON."
        ),
        "schema": LazyCommand(
            "edge_agent.cli.schema:schema",
            "Write the contract: JSON Schemas of all messages and of the configuration, AsyncAPI, error codes.",
        ),
        "spool": LazyCommand(
            "edge_agent.cli.spool:spool", "Show, export or purge the messages that wait for the broker."
        ),
        "collection": LazyCommand(
            "edge_agent.cli.collection:collection",
            "Show, export or delete the frames that were kept on this device, and bring labels back.",
        ),
        "bundle": LazyCommand(
            "edge_agent.cli.bundle:bundle",
            "Show, verify, install and activate bundles and heads, and go back to the one before.",
        ),
        "web": LazyCommand(
            "edge_agent.cli.web:web", "Set passwords and tokens of the microscope page, and print its address."
        ),
        "audit": LazyCommand(
            "edge_agent.cli.audit:audit", "Verify the audit log, which records what happened to the device."
        ),
    }


app = typer.Typer(
    cls=Commands,
    help=f"Leukoscope's edge agent: from a camera on a microscope to readings over MQTT. {NOTICE}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run a command and exit. User errors end in one clear error, never in a traceback."""
    prepare_streams()
    status = _run()
    unwritten = finish_streams()
    if unwritten is not None:
        print_error(unwritten)
        finish_streams()
        status = EXIT_FAILED
    sys.exit(status)


def _run() -> int:
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


@app.callback()
def _common(
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
    pass
