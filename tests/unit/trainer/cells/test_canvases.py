"""Canvases: one scale and one middle whatever the picture, made once, and never taken from an outdated file."""

from __future__ import annotations

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.vision.cell_stain import is_cut_out
from edge_agent.vision.decode import decode_image
from tests.unit.trainer.cells.drawn_cells import SIDE_UM, draw_cell, make_sources, write_picture
from trainer.cells.laboratories.listing import ListedCell, list_cells
from trainer.cells.windows import canvases
from trainer.cells.windows.canvases import CANVAS_PX, UM_PER_PIXEL, make_canvas, make_canvases
from trainer.cells.windows.cut_out import cell_mask
from trainer.errors import OutOfMemory, OutputUnwritable


def _nucleus(canvas: NDArray[np.uint8]) -> tuple[float, float, float]:
    """x, y and diameter, in pixels, of the area that is stained like the drawn nucleus."""
    rows, columns = np.nonzero((canvas[..., 1] < 110) & (canvas[..., 2] > 75))
    return float(columns.mean()), float(rows.mean()), 2 * float(np.sqrt(len(rows) / np.pi))


@pytest.mark.parametrize("cut_out", [False, True], ids=["on-a-smear", "cut-out"])
@pytest.mark.parametrize("side_px", [90, 160, 400])
def test_every_picture_has_the_canvas_scale_and_the_nucleus_in_the_middle(side_px: int, cut_out: bool) -> None:
    picture = draw_cell(side_px=side_px, centre_um=(17.0, 12.5), nucleus_um=9.0, cut_out=cut_out)
    canvas = make_canvas(picture, SIDE_UM)
    assert canvas.shape == (CANVAS_PX, CANVAS_PX, 3)
    assert canvas.dtype == np.uint8
    middle = canvas[40:120, 40:120]
    x, y, diameter = _nucleus(middle)
    assert (x, y) == pytest.approx((39.5, 39.5), abs=1.5)
    assert diameter * UM_PER_PIXEL == pytest.approx(9.0, abs=0.5)


def test_a_nucleus_at_the_edge_is_a_neighbours() -> None:
    picture = draw_cell(centre_um=(15.0, 24.5), nucleus_um=8.0)
    assert np.array_equal(make_canvas(picture, SIDE_UM)[79:81, 79:81], np.full((2, 2, 3), (236, 230, 234)))


def test_of_two_nuclei_the_middle_one_counts() -> None:
    picture = draw_cell(centre_um=(12.0, 15.0), nucleus_um=7.0)
    cv2.circle(picture, (100, 60), 16, (96, 52, 150), cv2.FILLED)
    x, y, _ = _nucleus(make_canvas(picture, SIDE_UM)[62:98, 62:98])
    assert (x, y) == pytest.approx((17.5, 17.5), abs=1.5)


@pytest.mark.parametrize("shape", [(120, 120), (1, 1), (3, 200)])
def test_a_picture_without_a_cell_has_a_canvas_too(shape: tuple[int, int]) -> None:
    for level in (0, 255):
        assert make_canvas(np.full((*shape, 3), level, np.uint8), SIDE_UM).shape == (CANVAS_PX, CANVAS_PX, 3)


def test_only_a_cell_on_black_is_cut_out_and_specks_are_none() -> None:
    cell = draw_cell(cut_out=True)
    assert is_cut_out(cell)
    assert not is_cut_out(draw_cell())
    assert not is_cut_out(draw_cell(centre_um=(15.0, 28.0), nucleus_um=20.0, cut_out=True))
    clean = cell_mask(cell)
    cell[5:7, 5:7] = 80
    assert np.array_equal(cell_mask(cell), clean)
    assert clean[60, 60] == 255


def _data(folder: Path, count: int = 3) -> Path:
    lines = ["path,label"]
    for code in ("north", "south"):
        for number in range(count):
            write_picture(folder / f"cells/{code}/{number}.png", draw_cell(centre_um=(13.0 + number, 15.0)))
            lines.append(f"{code}/{number}.png,blast")
    (folder / "cells/manifest.csv").write_text("\n".join(lines))
    return folder


SOURCES = make_sources("north", "south")


def _made(cell: ListedCell) -> NDArray[np.uint8]:
    return make_canvas(decode_image(cell.path.read_bytes()), SIDE_UM)


def _listed(data: Path) -> tuple[ListedCell, ...]:
    return list_cells(data, SOURCES).cells


def test_two_processes_make_what_one_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvases, "_CHUNK", 2)
    cells = _listed(_data(tmp_path))
    one = make_canvases(cells, SOURCES, tmp_path / "one", processes=1)
    two = make_canvases(cells[:3], SOURCES, tmp_path / "two", processes=2)
    assert one.cells == cells
    assert len(list(one)) == 6
    for canvas, other, cell in zip(one, two, cells, strict=False):
        assert np.array_equal(canvas, other)
        assert np.array_equal(canvas, _made(cell))


def _die_in_the_south(read: object, paths: list[Path]) -> list[NDArray[np.uint8]]:
    if "south" in str(paths[0]):
        os._exit(1)
    return [np.zeros((CANVAS_PX, CANVAS_PX, 3), np.uint8) for _ in paths]


def test_a_killed_process_is_one_error_and_finished_laboratories_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canvases, "_read_chunk", _die_in_the_south)
    with pytest.raises(OutOfMemory, match="was killed"):
        make_canvases(_listed(_data(tmp_path)), SOURCES, tmp_path / "cache")
    assert [path.name[:5] for path in (tmp_path / "cache").glob("*.npy")] == ["north"]


def test_what_is_kept_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = _listed(_data(tmp_path))
    first = make_canvases(cells, SOURCES, tmp_path / "cache", processes=1)
    monkeypatch.setattr(canvases, "_make", _must_not_run)
    again = make_canvases(cells, SOURCES, tmp_path / "cache", processes=1)
    assert again.cells == first.cells
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


def _must_not_run(*_: object) -> None:
    raise AssertionError("canvases were made again")


def test_another_picture_or_scale_makes_that_laboratory_anew(tmp_path: Path) -> None:
    data, cache = _data(tmp_path), tmp_path / "cache"
    make_canvases(_listed(data), SOURCES, cache, processes=1)
    before = {path.name for path in cache.glob("*.npy")}
    write_picture(data / "cells/north/1.png", draw_cell(nucleus_um=6.0))
    changed = make_canvases(_listed(data), SOURCES, cache, processes=1)
    assert {path.name[:5] for path in cache.glob("*.npy") if path.name not in before} == {"north"}
    assert _nucleus(list(changed)[1])[2] * UM_PER_PIXEL == pytest.approx(6.0, abs=0.6)
    wider = SOURCES.model_copy(
        update={"laboratories": tuple(each.model_copy(update={"side_um": 60.0}) for each in SOURCES.laboratories)}
    )
    scaled = make_canvases(_listed(data), wider, cache, processes=1)
    assert not np.array_equal(next(iter(scaled)), next(iter(changed)))


def _saved(array: NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


@pytest.mark.parametrize(
    "damage",
    [b"", b"\x93NUMPY\x01\x00", b"nonsense", _saved(np.zeros((2, CANVAS_PX, CANVAS_PX, 3), np.uint8))],
    ids=["empty", "cut", "nonsense", "of-another-number"],
)
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    cells = _listed(_data(tmp_path, count=1))
    first = [canvas.copy() for canvas in make_canvases(cells, SOURCES, tmp_path / "cache", processes=1)]
    for path in (tmp_path / "cache").glob("*.npy"):
        path.write_bytes(damage)
    again = make_canvases(cells, SOURCES, tmp_path / "cache", processes=1)
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


def test_a_file_that_is_no_picture_is_left_out_and_remembered(tmp_path: Path) -> None:
    data = _data(tmp_path)
    (data / "cells/north/1.png").write_bytes(b"not a picture")
    (data / "cells/north/0.png").write_bytes((data / "cells/north/0.png").read_bytes()[:-40])
    for _ in ("made", "kept"):
        found = make_canvases(_listed(data), SOURCES, tmp_path / "cache", processes=1)
        assert [(each.laboratory, each.path.name) for each in found.cells] == [
            ("north", "2.png"),
            *(("south", f"{number}.png") for number in range(3)),
        ]
        assert [(each.path, bool(each.reason)) for each in found.skipped] == [("0.png", True), ("1.png", True)]
        expected = [_made(each) for each in found.cells]
        assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def test_a_picture_that_went_away_is_left_out_until_it_is_back(tmp_path: Path) -> None:
    data = _data(tmp_path)
    cells = _listed(data)
    content = cells[1].path.read_bytes()
    cells[1].path.unlink()
    found = make_canvases(cells, SOURCES, tmp_path / "cache", processes=1)
    assert found.cells == (cells[0], *cells[2:])
    assert [(each.path, each.reason) for each in found.skipped] == [
        ("1.png", "cannot be opened: No such file or directory")
    ]
    cells[1].path.write_bytes(content)
    assert make_canvases(cells, SOURCES, tmp_path / "cache", processes=1).cells == cells


def test_canvases_are_found_by_the_position_of_their_cell(tmp_path: Path) -> None:
    found = make_canvases(_listed(_data(tmp_path)), SOURCES, tmp_path / "cache", processes=1)
    assert len(found) == 6
    assert all(np.array_equal(found[position], canvas) for position, canvas in zip(range(6), found, strict=True))
    for beyond in (-1, 6):
        with pytest.raises(IndexError):
            found[beyond]


def test_a_cache_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OutputUnwritable):
        make_canvases(_listed(_data(tmp_path)), SOURCES, tmp_path / "cache", processes=1)
