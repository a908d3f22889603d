"""``edge-agent-collector``: the commands."""

from __future__ import annotations

import sys

import typer

from edge_agent.cli.lazy import LazyCommand, LazyCommands
from edge_agent.cli.program import common_options, run_program
from edge_agent.cli.terminal import EXIT_FAILED, NOTICE, print_error
from edge_agent.errors import CollectorMissing

_ITS_OWN = {"alembic", "fhir", "psycopg", "pyarrow", "sqlalchemy"}
"""Packages that the extra installs."""


class Commands(LazyCommands):
    """The commands, one module each."""

    lazy = {  # noqa: RUF012 - the base declares it
        "run": LazyCommand(
            "edge_agent.collector.cli.run:run",
            "Store what the devices publish, until SIGTERM. Nothing is lost or doubled.",
        ),
        "migrate": LazyCommand(
            "edge_agent.collector.cli.migrate:migrate", "Create the tables, or change them to what this release needs."
        ),
        "retention": LazyCommand(
            "edge_agent.collector.cli.retention:retention", "Delete what is older than [retention] wants to keep, now."
        ),
        "status": LazyCommand(
            "edge_agent.collector.cli.status:status",
            "Show what is stored, the newest result of each device, and how far behind the collectors are.",
        ),
        "export": LazyCommand(
            "edge_agent.collector.cli.export:export", "Write what is stored as CSV, Parquet or FHIR R4."
        ),
        "dictionary": LazyCommand(
            "edge_agent.collector.cli.dictionary:dictionary", "Print what each column of an export means."
        ),
    }


app = typer.Typer(
    cls=Commands,
    help=f"Leukoscope's collector: from the broker into a database. {NOTICE}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.callback()(common_options)


def main() -> None:
    """Run a command and exit. User errors end in one clear error, never in a traceback."""
    try:
        run_program(app)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _ITS_OWN:
            raise
        print_error(CollectorMissing(f"The package {error.name} is not installed."))
        sys.exit(EXIT_FAILED)
