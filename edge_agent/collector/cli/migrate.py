"""``edge-agent-collector migrate``."""

from __future__ import annotations

from edge_agent.cli.terminal import output
from edge_agent.collector.cli.arguments import ConfigOption
from edge_agent.collector.config import load_config
from edge_agent.collector.database import database_errors, open_database, shown_url
from edge_agent.collector.schema import migrate as migrate_schema


def migrate(config: ConfigOption = None) -> None:
    """Create the tables, or change them to what this release needs. A collector does so by itself when it starts.

    Nothing is lost by it, and it may be run any number of times.
    """
    engine = open_database(load_config(config).database)
    with database_errors(engine):
        before, after = migrate_schema(engine)
    done = "is up to date" if before == after else f"changed from {before or 'nothing'}"
    output.print(f"{shown_url(engine)}: revision {after}, {done}.", markup=False)
