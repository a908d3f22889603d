"""Changes of the schema, by Alembic. A released migration is never edited."""
