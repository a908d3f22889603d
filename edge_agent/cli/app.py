"""``edge-agent``: the commands of the device."""

from __future__ import annotations

import typer

from edge_agent.cli.lazy import LazyCommand, LazyCommands
from edge_agent.cli.program import common_options, run_program
from edge_agent.cli.terminal import NOTICE


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
app.callback()(common_options)


def main() -> None:
    """Run a command and exit. User errors end in one clear error, never in a traceback."""
    run_program(app)
