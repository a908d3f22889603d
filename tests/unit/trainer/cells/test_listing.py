"""Listing cells: what is known of each, what is skipped, and which class names are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.trainer.cells.drawn_cells import make_sources
from trainer.cells.laboratories.listing import count_types, list_cells
from trainer.cells.laboratories.sources import Meaning
from trainer.errors import DataError


def _write(data: Path, manifest: str, *pictures: str) -> Path:
    (data / "cells").mkdir(parents=True, exist_ok=True)
    (data / "cells" / "manifest.csv").write_text(manifest)
    for name in pictures:
        path = data / "cells" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return data


def test_what_is_known_of_each_cell(tmp_path: Path) -> None:
    data = _write(
        tmp_path,
        "path,label,group\nnorth/1.png,blast,7\nnorth/2.png,healthy,north-8\nnorth/3.png,platelet,7\n"
        "north/4.png,neutrophil_band,7\nnorth/5.png,plasma_cell,7\nsouth/1.png,blast,1\n",
        *(f"north/{number}.png" for number in range(1, 6)),
        "south/1.png",
    )
    table = list_cells(data, make_sources("north", "south", patients=["north"]))
    assert [(c.laboratory, c.path.name, c.type, c.is_blast, c.is_nucleated, c.group) for c in table.cells] == [
        ("north", "1.png", Meaning.BLAST, True, True, "north-7"),
        ("north", "2.png", None, False, True, "north-8"),
        ("north", "3.png", None, None, False, "north-7"),
        ("north", "4.png", Meaning.NEUTROPHIL, False, True, "north-7"),
        # Nobody said that the groups of this laboratory are patients.
        ("south", "1.png", Meaning.BLAST, True, True, None),
    ]
    assert table.left_out_count == 1
    assert table.skipped == ()
    assert count_types(table.cells)["north", Meaning.BLAST] == 1


def test_only_the_named_laboratories_are_read(tmp_path: Path) -> None:
    data = _write(tmp_path, "path,label\nnorth/1.png,blast\nsouth/1.png,mystery\n", "north/1.png")
    table = list_cells(data, make_sources("north", "south"), ["north"])
    assert [each.laboratory for each in table.cells] == ["north"]


def test_rows_that_cannot_be_read_are_skipped_and_said_why(tmp_path: Path) -> None:
    data = _write(
        tmp_path,
        "path,label,group\nnorth/1.png,blast,7\nnorth/gone.png,blast,7\nnorth/1.png,healthy,7\n"
        "north/2.png,blast,\nnorth/../../secret.png,blast,7\nnorth/3.png,blast,9\n",
        "north/1.png",
        "north/2.png",
        "north/3.png",
    )
    (tmp_path / "secret.png").write_bytes(b"secret")
    table = list_cells(data, make_sources("north", patients=["north"]))
    assert [each.path.name for each in table.cells] == ["1.png", "3.png"]
    assert [(each.path, each.reason) for each in table.skipped] == [
        ("north/gone.png", "cannot be opened: No such file or directory"),
        ("north/1.png", "is named a second time"),
        ("north/2.png", "names no patient"),
        ("north/../../secret.png", "is not a path inside the data folder"),
    ]


def test_a_class_that_is_not_mapped_is_refused_with_its_line(tmp_path: Path) -> None:
    data = _write(tmp_path, "path,label\nnorth/1.png,blast\nnorth/2.png,Blast\nnorth/3.png,\n", "north/1.png")
    with pytest.raises(DataError) as raised:
        list_cells(data, make_sources("north"))
    assert "line 3: Blast" in raised.value.message
    assert "line 4: (none)" in raised.value.message
    assert "[classes]" in raised.value.remedy


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("path,group\nnorth/1.png,1\n", "no column label"),
        ("path,label\nnorth/1.png,blast\n", "no column group"),
        ("path,label,group\nsouth/1.png,blast,1\n", "no readable cell of north"),
        ("path,label,group\nnorth/gone.png,blast,1\n", "no readable cell of north"),
    ],
    ids=["no-label", "no-patients", "no-row", "no-file"],
)
def test_a_manifest_that_cannot_be_used_is_one_error(tmp_path: Path, manifest: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        list_cells(_write(tmp_path, manifest), make_sources("north", patients=["north"]))


def test_a_missing_manifest_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the manifest of north, cannot be read"):
        list_cells(tmp_path, make_sources("north"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80) | st.text('path,lbe\n\r"/.north1\0', max_size=80).map(str.encode))
def test_any_manifest_gives_cells_or_one_error(tmp_path: Path, rest: bytes) -> None:
    data = _write(tmp_path, "", "north/1.png")
    (data / "cells" / "manifest.csv").write_bytes(b"path,label\nnorth/1.png,blast\n" + rest)
    try:
        table = list_cells(data, make_sources("north"))
    except DataError:
        return
    assert all(each.path.is_file() for each in table.cells)
