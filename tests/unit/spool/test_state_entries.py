"""A state entry that cannot be read is set aside, and the agent starts without it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from edge_agent.errors import StateEntryInvalid
from edge_agent.spool import MemorySpool, Spool, SpoolLimits, SqliteSpool, read_state_entries, read_state_entry
from edge_agent.spool.place import FILE
from edge_agent.spool.state_entries import QUARANTINED_MAX
from tests.mqtt import PATIENCE_S

LIMITS = SpoolLimits(max_bytes=2**20, max_age_s=3600, commit_delay_s=0)


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: int


@pytest.fixture(params=["memory", "disk"])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Spool]:
    spool = MemorySpool(LIMITS.max_bytes) if request.param == "memory" else SqliteSpool(tmp_path, LIMITS)
    yield spool
    spool.close()


def split_in_two(raw: bytes) -> tuple[int, int]:
    first, second = raw.split()
    return int(first), int(second)


PARSERS: dict[str, Callable[[bytes], object]] = {
    "model": Entry.model_validate_json,
    "numbers": split_in_two,
    "key": lambda raw: json.loads(raw)["count"],
}
UNREADABLE = {
    "empty": b"",
    "half written": b'{"count": 1',
    "not UTF-8": b"\xff\xfe\x00",
    "a newer release's": b'{"count": {"since": 1}, "unit": "slides"}',
    "deep": b"[" * 100_000,
}


def test_an_entry_is_parsed_and_one_that_is_not_there_is_none(spool: Spool) -> None:
    spool.write_state_entries({"tally": b'{"count": 3}', "tally/other": b"?"})
    assert read_state_entry(spool, "tally", Entry.model_validate_json) == Entry(count=3)
    assert read_state_entry(spool, "tal", Entry.model_validate_json) is None
    assert spool.state_entries("quarantined/") == {}


@pytest.mark.parametrize("value", UNREADABLE)
@pytest.mark.parametrize("parser", PARSERS)
def test_an_entry_that_cannot_be_read_is_set_aside_once(spool: Spool, parser: str, value: str) -> None:
    if (parser, value) == ("key", "a newer release's"):
        spool.write_state_entries({"tally": b'{"number": 1}'})
    else:
        spool.write_state_entries({"tally": UNREADABLE[value]})
    kept = spool.state_entries()["tally"]
    errors: list[StateEntryInvalid] = []
    for _ in range(2):
        assert read_state_entry(spool, "tally", PARSERS[parser], on_invalid=errors.append) is None
    assert [error.code for error in errors] == ["state_entry_invalid"]
    assert spool.state_entries() == {"quarantined/tally": kept}


def test_the_readable_ones_of_several_are_read(spool: Spool) -> None:
    spool.write_state_entries({"command/1": b'{"count": 1}', "command/2": b"?", "command/3": b'{"count": 3}'})
    found = read_state_entries(spool, "command/", Entry.model_validate_json)
    assert found == {"command/1": Entry(count=1), "command/3": Entry(count=3)}
    assert list(spool.state_entries()) == ["command/1", "command/3", "quarantined/command/2"]


def test_only_so_many_are_kept_aside(spool: Spool) -> None:
    spool.write_state_entries({f"command/{number:02}": b"?" for number in range(QUARANTINED_MAX + 5)})
    assert read_state_entries(spool, "command/", Entry.model_validate_json) == {}
    kept = [f"quarantined/command/{number:02}" for number in range(5, QUARANTINED_MAX + 5)]
    assert list(spool.state_entries()) == kept


@pytest.mark.parametrize("damage", ["key = x'ff'", "key = CAST(x'ff80' AS TEXT)", "value = 'text'", "value = 17"])
def test_rows_that_are_no_entries_do_not_keep_the_spool_from_opening(tmp_path: Path, damage: str) -> None:
    spool = SqliteSpool(tmp_path, LIMITS)
    spool.write_state_entries({"first": b"1", "second": b"2"})
    spool.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute(f"UPDATE notes SET {damage} WHERE key = 'first'")  # noqa: S608 - from the list above
    again = SqliteSpool(tmp_path, LIMITS)
    entries = again.state_entries()
    assert entries["second"] == b"2"
    assert all(isinstance(value, bytes) for value in entries.values())
    again.write_state_entries(dict(entries))
    assert again.flush(PATIENCE_S)
    again.close()
