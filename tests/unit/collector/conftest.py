"""Each test of the database runs on SQLite, and on PostgreSQL if it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from edge_agent.collector.database import open_database
from edge_agent.collector.schema import migrate
from edge_agent.collector.settings import DatabaseSettings
from tests.postgres import Postgres, run_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with run_postgres("fsync=off") as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'collected.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.database()


@pytest.fixture
def empty(address: str) -> Iterator[Engine]:
    """A database without tables."""
    engine = open_database(DatabaseSettings(url=address))
    yield engine
    engine.dispose()


@pytest.fixture
def engine(empty: Engine) -> Engine:
    """A database with tables."""
    migrate(empty)
    return empty


@pytest.fixture
def postgres_engine(postgres: Postgres) -> Iterator[Engine]:
    engine = open_database(DatabaseSettings(url=postgres.database()))
    migrate(engine)
    yield engine
    engine.dispose()
