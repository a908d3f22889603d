"""Foreign things, judged through the agent: each as a cell, and whole fields with their marked objects."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from tests.cells import make_cells_bundle
from tests.unit.trainer.cells.drawn_cells import GLASS, NUCLEUS, RED_CELL, draw_cell, make_sources, write_picture
from trainer.cells.foreign import judging
from trainer.cells.foreign.judging import ForeignCells, judge_foreign_cells
from trainer.cells.foreign.pictures import (
    PICTURE_UM,
    Box,
    images_of,
    pictures_of_boxes,
    pictures_of_places,
    read_boxes,
    read_picture,
)
from trainer.cells.foreign.table import show_foreign_cells
from trainer.cells.laboratories.listing import list_cells
from trainer.errors import DataError

RED_PX = 30
FIELD = (480, 640)
PLATELET_AT, WHITE_AT = (80, 400), (480, 160)


def field() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Red cells in rows, and a platelet far from a white cell."""
    picture = np.full((*FIELD, 3), GLASS, np.uint8)
    for x in range(40, 640, 60):
        for y in range(40, 480, 60):
            if min(np.hypot(x - at[0], y - at[1]) for at in (PLATELET_AT, WHITE_AT)) > 60:
                cv2.circle(picture, (x, y), RED_PX // 2, RED_CELL, cv2.FILLED)
    cv2.circle(picture, WHITE_AT, 24, NUCLEUS, cv2.FILLED)
    cv2.circle(picture, PLATELET_AT, 5, NUCLEUS, cv2.FILLED)
    return picture


def boxes() -> tuple[Box, ...]:
    reds = [Box("rbc", x - 15, y - 15, x + 15, y + 15) for x, y in ((40, 40), (100, 40), (420, 160), (220, 400))]
    x, y = PLATELET_AT
    u, v = WHITE_AT
    return (*reds, Box("platelet", x - 5, y - 5, x + 5, y + 5), Box("wbc", u - 30, v - 30, u + 30, v + 30))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for number in range(12):
        label = "platelet" if number % 2 else "blast"
        write_picture(
            folder / f"cells/north/{number}.png", draw_cell(nucleus_um=3.0 + number / 9 if number % 2 else 10)
        )
        rows.append({"path": f"north/{number}.png", "label": label, "group": ""})
    with (folder / "cells/manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "group"])
        writer.writeheader()
        writer.writerows(rows)
    for name in ("boxes", "frames"):
        write_picture(folder / f"{name}/field.png", field().repeat(2, axis=0).repeat(2, axis=1))
    write_picture(folder / "frames/dark.png", np.zeros((*FIELD, 3), np.uint8))
    with (folder / "boxes/boxes.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "kind", "x_min_px", "y_min_px", "x_max_px", "y_max_px"])
        for box in boxes():
            corners = box.left_px, box.top_px, box.right_px, box.bottom_px
            table.writerow(["field.png", box.kind, *(2 * each for each in corners)])
    return folder


def judge(data: Path, bundle: Path) -> ForeignCells:
    sources = make_sources("north")
    return judge_foreign_cells(
        str(bundle),
        data,
        sources,
        list_cells(data, sources).cells,
        boxes=Path("boxes/boxes.csv"),
        fields=[Path("frames")],
    )


def test_boxes_are_read_and_a_table_without_them_is_one_error(data: Path, tmp_path: Path) -> None:
    assert list(read_boxes(data / "boxes/boxes.csv")) == [data / "boxes/field.png"]
    (read,) = read_boxes(data / "boxes/boxes.csv").values()
    assert [(each.kind, each.centre_px) for each in read] == [
        (each.kind, (2 * each.centre_px[0], 2 * each.centre_px[1])) for each in boxes()
    ]
    with pytest.raises(DataError, match="cannot be read"):
        read_boxes(tmp_path / "none.csv")
    columns = "path,kind,x_min_px,y_min_px,x_max_px,y_max_px\n"
    wrong = ("1,2,3,x", "1,2,1,2", "3,2,1,4", "1,nan,3,4", "1,2,3,inf")
    for text in ("path,kind\na,b\n", *(f"{columns}a,rbc,{corners}\n" for corners in wrong)):
        (tmp_path / "bad.csv").write_text(text)
        with pytest.raises(DataError, match="not a table of boxes"):
            read_boxes(tmp_path / "bad.csv")


def test_pictures_without_images_or_of_none_are_one_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images"):
        images_of(tmp_path)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="is no picture"):
        read_picture(tmp_path / "a.png")
    with pytest.raises(DataError, match="cannot be read"):
        read_picture(tmp_path / "b.png")


def test_each_picture_has_its_object_in_the_middle_and_the_red_cells_scale() -> None:
    found = list(pictures_of_boxes(field(), boxes(), np.random.default_rng(0)))
    # The red cell beside the white cell is left out: its picture would show the white cell.
    assert sorted(each.kind for each in found) == ["platelet", "rbc", "rbc", "rbc"]
    for each in found:
        assert each.um_per_pixel * each.rgb.shape[0] == pytest.approx(PICTURE_UM)
        middle = each.rgb[each.rgb.shape[0] // 2, each.rgb.shape[1] // 2]
        assert np.abs(middle.astype(int) - (NUCLEUS if each.kind == "platelet" else RED_CELL)).max() <= 3
        if each.kind == "rbc":
            row = each.rgb[each.rgb.shape[0] // 2].astype(int)
            inside, outside = (row[round((PICTURE_UM / 2 + um) / each.um_per_pixel)] for um in (3.3, 4.2))
            assert np.abs(inside - RED_CELL).max() <= 3
            assert np.abs(outside - GLASS).max() <= 3
    assert not list(
        pictures_of_boxes(field(), [each for each in boxes() if each.kind != "rbc"], np.random.default_rng(0))
    )


def test_boxes_of_a_larger_picture_are_one_error() -> None:
    larger = [replace(each, left_px=9 * each.left_px, right_px=9 * each.right_px) for each in boxes()]
    with pytest.raises(DataError, match="outside its picture"):
        list(pictures_of_boxes(field(), larger, np.random.default_rng(0)))


def test_places_are_far_from_every_nucleus() -> None:
    found = list(pictures_of_places(field(), np.random.default_rng(0)))
    assert found
    for each in found:
        side = each.rgb.shape[0]
        inner = each.rgb[side // 2 - 15 : side // 2 + 15, side // 2 - 15 : side // 2 + 15]
        assert not (np.abs(inner.astype(int) - NUCLEUS).max(axis=-1) <= 3).any()
    assert not list(pictures_of_places(np.full((96, 96, 3), 230, np.uint8), np.random.default_rng(0)))


def test_what_the_agent_says_is_counted(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "NONSENSE_COUNT", 1)
    everything = judge(data, make_cells_bundle(tmp_path / "open"))
    nothing = {"max_unfamiliarity_score": 0.001, "min_confidence_ratio": 0.0}
    closed = judge(data, make_cells_bundle(tmp_path / "closed", thresholds=nothing))
    rows = {(each.source, each.kind): each for each in everything.as_cells}
    assert rows["boxes", "rbc"].pictures_count == 3
    assert rows["boxes", "platelet"].refused_ratio == 0
    assert sum(rows["boxes", "platelet"].answered_types.values()) == 1
    assert rows["north", "listed as no cell"].fitted
    assert 0 < rows["north", "listed as no cell"].pictures_count < 6
    assert not rows["drawn", "text"].fitted
    assert rows["drawn", "disc"].fitted
    assert {each.refused_ratio for each in closed.as_cells} == {1.0}
    assert next(each.refusals for each in closed.as_cells if each.kind == "rbc") == {"unfamiliar": 3}
    marked, frames = everything.fields
    assert (marked.source, frames.source) == ("boxes", "frames")
    assert marked.objects_count == {"rbc": 4, "platelet": 1, "wbc": 1}
    assert marked.cells_count == marked.typed_count >= 1
    assert marked.refused_white_cells_ratio == 0
    assert frames.objects_count == {}
    assert (frames.fields_count, frames.rejected_fields_count) == (2, 1)
    assert frames.refused_white_cells_ratio is None
    assert closed.fields[0].refused_white_cells_ratio == 1
    assert closed.fields[0].typed_count == 0
    console = Console(width=160, record=True)
    show_foreign_cells(everything, console)
    shown = console.export_text()
    assert "0 of 1 platelet" in shown or "1 of 1 platelet" in shown
    assert "boxes" in shown
