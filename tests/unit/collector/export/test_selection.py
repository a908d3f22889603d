from __future__ import annotations

import pytest
from sqlalchemy import Engine

from edge_agent.collector.export.selection import Selection, check_selection, open_reading
from edge_agent.contracts import Topics
from edge_agent.errors import SchemaMissing, SelectionUnknown
from tests.collecting import make_report
from tests.unit.collector.export.stored import readings, store


def check(engine: Engine, **selected: str) -> None:
    with open_reading(engine) as connection:
        check_selection(connection, Selection(**selected))  # type: ignore[arg-type]


@pytest.fixture
def two_sites(sqlite_engine: Engine) -> Engine:
    store(sqlite_engine, [*readings(1), *readings(1, topics=Topics("south-clinic", "scope-9"), specimen=None)])
    store(sqlite_engine, [make_report()])
    return sqlite_engine


def test_names_that_exist_are_accepted(two_sites: Engine) -> None:
    check(two_sites)
    check(two_sites, site="north-clinic", device="scope-1", specimen="S-7K3F-92QX")
    check(two_sites, device="scope-9")


@pytest.mark.parametrize(
    ("selected", "message"),
    [
        ({"site": "west-clinic"}, "no site 'west-clinic'. Sites: north-clinic, south-clinic."),
        ({"device": "scope-2"}, "no device 'scope-2'. Devices: scope-1, scope-9."),
        ({"site": "north-clinic", "device": "scope-9"}, "'scope-9' at the site 'north-clinic'. Devices: scope-1."),
        ({"specimen": "s-7k3f-92qx"}, "no specimen 's-7k3f-92qx'."),
        ({"site": "south-clinic", "specimen": "S-7K3F-92QX"}, "'S-7K3F-92QX' at the site 'south-clinic'."),
    ],
    ids=["site", "device", "device-of-another-site", "specimen", "specimen-of-another-site"],
)
def test_an_unknown_name_is_an_error_that_says_what_there_is(
    two_sites: Engine, selected: dict[str, str], message: str
) -> None:
    with pytest.raises(SelectionUnknown) as caught:
        check(two_sites, **selected)
    assert message in caught.value.message


def test_of_many_names_some_are_shown(sqlite_engine: Engine) -> None:
    store(sqlite_engine, [each for n in range(30) for each in readings(1, topics=Topics("north", f"scope-{n:02}"))])
    with pytest.raises(SelectionUnknown, match="scope-19 and 10 more"):
        check(sqlite_engine, device="scope-99")


def test_a_database_that_knows_nothing_says_so(sqlite_engine: Engine) -> None:
    with pytest.raises(SelectionUnknown, match="knows none yet"):
        check(sqlite_engine, site="north-clinic")


def test_a_database_without_tables_is_an_error_with_its_remedy(empty: Engine) -> None:
    with pytest.raises(SchemaMissing), open_reading(empty):
        pass
