from __future__ import annotations

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from edge_agent.collector.database import open_database
from edge_agent.collector.schema import migrate, require_schema
from edge_agent.collector.settings import DatabaseSettings
from edge_agent.collector.tables import BY_DAY, metadata
from edge_agent.errors import SchemaMissing, SchemaNewer


def test_the_migrations_make_the_tables_that_the_code_knows(engine: Engine) -> None:
    def is_ours(_object: object, name: str | None, kind: str, _reflected: bool, _compared: object) -> bool:
        return not (kind == "table" and str(name).removesuffix("_default") in BY_DAY and str(name).endswith("_default"))

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": is_ours})
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing(empty: Engine) -> None:
    assert migrate(empty) == (None, "0001")
    assert migrate(empty) == ("0001", "0001")


def test_several_collectors_may_migrate_at_the_same_moment(address: str) -> None:
    engines = [open_database(DatabaseSettings(url=address)) for _ in range(4)]
    barrier, before = threading.Barrier(len(engines)), []

    def start(engine: Engine) -> None:
        barrier.wait()
        before.append(migrate(engine)[0])

    threads = [threading.Thread(target=start, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in engines:
        engine.dispose()
    assert sorted(before, key=str) == ["0001", "0001", "0001", None]


def test_tables_of_a_later_release_are_left_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaNewer, match="9999"):
        migrate(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


def test_a_database_without_tables_is_told_apart_from_an_empty_one(empty: Engine) -> None:
    with pytest.raises(SchemaMissing):
        require_schema(empty)
    migrate(empty)
    require_schema(empty)


def test_what_grows_with_time_is_partitioned(postgres_engine: Engine) -> None:
    with postgres_engine.connect() as connection:
        found = connection.execute(text("SELECT relname, relkind FROM pg_class WHERE relkind IN ('p', 'r')")).all()
    kinds = {row.relname: row.relkind for row in found}
    assert {table: kinds[table] for table in BY_DAY} == dict.fromkeys(BY_DAY, "p")
    assert all(f"{table}_default" in kinds for table in BY_DAY)
