from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, insert, select, text

from edge_agent.collector.database import open_database
from edge_agent.collector.schema import MIGRATIONS, migrate, require_schema
from edge_agent.collector.settings import DatabaseSettings
from edge_agent.collector.tables import BY_DAY, metadata
from edge_agent.errors import SchemaMissing, SchemaNewer
from tests.collecting import make_entry, make_report, make_result

HEAD = "0002"


def upgrade_to(revision: str, engine: Engine) -> None:
    """Make the tables as an older release left them."""
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, revision)


def test_the_migrations_make_the_tables_that_the_code_knows(engine: Engine) -> None:
    def is_ours(_object: object, name: str | None, kind: str, _reflected: bool, _compared: object) -> bool:
        return not (kind == "table" and str(name).removesuffix("_default") in BY_DAY and str(name).endswith("_default"))

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": is_ours})
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing(empty: Engine) -> None:
    assert migrate(empty) == (None, HEAD)
    assert migrate(empty) == (HEAD, HEAD)


def test_rows_of_an_older_release_stay_and_have_no_cells(empty: Engine) -> None:
    upgrade_to("0001", empty)
    new = {"cells_judged_count", "cells_refused_count", "blasts_count", "types_count"}
    entries = [make_entry(make_result()), make_entry(make_report())]
    with empty.begin() as connection:
        for entry in entries:
            old = {name: value for name, value in entry.row.items() if name not in new and "blast_" not in name}
            connection.execute(insert(entry.table).values(old))
    assert migrate(empty) == ("0001", HEAD)
    with empty.connect() as connection:
        for entry in entries:
            row = connection.execute(select(entry.table)).mappings().one()
            assert row["id"] == entry.row["id"]
            assert {name: row[name] for name in new} == dict.fromkeys(new)


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
    assert sorted(before, key=str) == [HEAD, HEAD, HEAD, None]


def test_a_file_that_another_process_has_just_begun_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "collected.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("edge_agent.collector.database.time.sleep", lambda _pause_s: other.commit())
        engine = open_database(DatabaseSettings(url=f"sqlite:///{path}"))
        assert migrate(engine) == (None, HEAD)
        engine.dispose()


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
