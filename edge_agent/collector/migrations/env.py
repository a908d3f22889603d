"""Alembic's entry: runs the migrations on the connection that ``schema`` passes."""

from __future__ import annotations

from alembic import context

from edge_agent.collector.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
