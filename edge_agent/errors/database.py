"""The collector's database."""

from __future__ import annotations

from edge_agent.errors.base import EdgeAgentError


class DatabaseError(EdgeAgentError):
    """The database failed in a way that has no code of its own. Messages wait at the broker; the collector retries."""

    code = "database_failed"
    remedy = "Read the database's own log; messages wait at the broker meanwhile."


class DatabaseUnreachable(DatabaseError):
    """The database does not answer. Messages wait at the broker; the collector keeps trying."""

    code = "database_unreachable"
    remedy = "Check that the database is running and that database.url is right; messages wait at the broker meanwhile."


class DatabaseRefused(DatabaseError):
    """The database refuses the user, the password or what the collector needs to do."""

    code = "database_refused"
    remedy = "Check user, password_file and rights at the database; messages wait at the broker meanwhile."


class DatabaseFull(DatabaseError):
    """The database's disk is full. Nothing is acknowledged until there is room."""

    code = "database_full"
    remedy = "Free space for the database, or set [retention]; messages wait at the broker meanwhile."


class DatabaseBusy(DatabaseError):
    """Another process has locked the database for long, or it has no connection left."""

    code = "database_busy"
    remedy = "Find what keeps it busy, such as a long export or a backup; messages wait at the broker meanwhile."


class SchemaMissing(DatabaseError):
    """The database has no tables yet, or those of an older release."""

    code = "schema_missing"
    remedy = "Run 'edge-agent-collector migrate'; a collector does so when it starts."


class SchemaNewer(DatabaseError):
    """A later release has changed the tables. This one would write what that one does not expect."""

    code = "schema_newer"
    remedy = "Use the collector's release that made them, or a later one."


class SelectionUnknown(EdgeAgentError):
    """An export asks for a site, a device or a specimen of which the database has nothing. No file was written."""

    code = "selection_unknown"
    remedy = "Use a name as it is shown by 'edge-agent-collector status'."


class CollectorMissing(EdgeAgentError):
    """What the collector needs beside the agent is not installed."""

    code = "collector_missing"
    remedy = "Install the extra: pip install 'leukoscope[client]'."
