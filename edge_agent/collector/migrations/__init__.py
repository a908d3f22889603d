"""Migrations of the schema, with Alembic. A released migration is never edited."""
