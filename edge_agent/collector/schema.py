"""Migrates the tables of a database to what this release needs."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text

from edge_agent.errors import SchemaMissing, SchemaNewer

MIGRATIONS = Path(__file__).with_name("migrations")

LOCK = 0x1E0C05C0
"""Advisory lock of PostgreSQL under which collectors change the schema, one after the other."""


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Migrate the tables, and return the revisions before and after. Several processes may do this at the same time.

    Raises ``SchemaNewer`` if a later release has changed the tables already; nothing is touched then.
    """
    with engine.connect() as connection, ExitStack() as closing:
        if connection.dialect.name == "postgresql":
            # The lock is the session's, not the transaction's: it is held until everything is committed.
            connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
            connection.commit()
            closing.callback(_unlock, connection)
        else:
            # Another process waits here, for as long as the busy time-out allows.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        before = current_revision(connection)
        head = ScriptDirectory(str(MIGRATIONS)).get_current_head() or ""
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise SchemaNewer(
                f"The tables were changed to revision {before} by a later release; this one knows them up to {head}."
            ) from error
        connection.commit()
        return before, head


def current_revision(connection: Connection) -> str | None:
    """The revision of the tables; None if there are none yet."""
    return MigrationContext.configure(connection).get_current_revision()


def require_schema(engine: Engine) -> None:
    """Raise ``SchemaMissing`` unless the tables are those of this release, or of a later one."""
    with engine.connect() as connection:
        found = current_revision(connection)
    known = [each.revision for each in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]
    if found is None:
        raise SchemaMissing("The database has no tables of the collector yet.")
    if found in known[1:]:
        raise SchemaMissing(f"The tables are at revision {found}; this release needs {known[0]}.")


def _unlock(connection: Connection) -> None:
    connection.rollback()
    connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": LOCK})
    connection.commit()
