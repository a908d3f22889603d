"""What a cells bundle says of the cells of a reading and of a slide. Older rows have none of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

_FIGURES = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Add the columns. Without a value of their own, PostgreSQL touches no row."""
    for table in ("results", "reports"):
        for name in ("cells_judged_count", "cells_refused_count", "blasts_count"):
            op.add_column(table, sa.Column(name, sa.BigInteger(), nullable=True))
        for name in ("blast_ratio", *(("blast_low_ratio", "blast_high_ratio") if table == "reports" else ())):
            op.add_column(table, sa.Column(name, sa.Double(), nullable=True))
        op.add_column(table, sa.Column("types_count", _FIGURES, nullable=True))
