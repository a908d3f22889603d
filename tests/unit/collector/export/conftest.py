from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from edge_agent.collector.database import open_database
from edge_agent.collector.schema import migrate
from edge_agent.collector.settings import DatabaseSettings


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(DatabaseSettings(url=f"sqlite:///{tmp_path / 'collected.db'}"))
    migrate(engine)
    yield engine
    engine.dispose()
