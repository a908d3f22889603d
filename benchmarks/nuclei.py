"""Measures how well nuclei are found: by hand-drawn boxes and masks, beside release 0.2 and a textbook watershed."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.app import app
from benchmarks.baseline_vision import segment_a_star, segment_watershed
from benchmarks.report import AsJson, Findings, Goal, Out, reported
from edge_agent.cameras.image_files import list_images
from edge_agent.vision.cells import find_cells
from edge_agent.vision.colour import to_lab
from edge_agent.vision.decode import decode_image
from edge_agent.vision.field import shrink
from edge_agent.vision.preprocessing import SEGMENTATION_DENOISER

Image = NDArray[np.uint8]

MASK_SETS = ("tecom300", "cellavision100")
EMPTY_SET = "frames-1280x960"
MISLABELLED_COUNT = 20
"""A field with more white cells than this has its red cells labelled as white: three fields of 260."""

_MARGIN_PX = 4
"""Distance by which a centre may be outside a hand-drawn box."""

COLUMNS = {
    "set": "set",
    "method": "method",
    "fields_count": "fields",
    "cells_count": "white cells",
    "found_pct": "found %",
    "precision_pct": "precision %",
    "dice": "Dice",
    "false_per_field": "false per field",
}


@dataclass(frozen=True, slots=True)
class Detection:
    """One cell that a method found."""

    x_px: float
    y_px: float


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The findings of a method in a view."""

    mask: Image
    cells: Sequence[Detection]


@dataclass(frozen=True, slots=True, eq=False)
class BoxedField:
    """A field with hand-drawn boxes, in pixels of its view: left, top, right, bottom."""

    name: str
    view: Image
    white_cells: NDArray[np.float64]
    red_cells: NDArray[np.float64]


def _ours(view: Image) -> Found:
    nuclei = find_cells(SEGMENTATION_DENOISER(view)).segmentation
    return Found(nuclei.mask, [Detection(*nucleus.centre_px) for nucleus in nuclei.nuclei])


def _release_0_2(view: Image) -> Found:
    return _by_regions(segment_a_star(to_lab(SEGMENTATION_DENOISER(view))))


def _watershed(view: Image) -> Found:
    return _by_regions(segment_watershed(SEGMENTATION_DENOISER(view)))


def _by_regions(mask: Image) -> Found:
    _, _, _, centres = cv2.connectedComponentsWithStats(mask)
    return Found(mask, [Detection(float(x), float(y)) for x, y in centres[1:]])


METHODS: dict[str, Callable[[Image], Found]] = {
    "this release": _ours,
    "release 0.2 (a* k-means)": _release_0_2,
    "Otsu and watershed": _watershed,
}


@app.command("nuclei")
def nuclei(
    data: Annotated[Path, typer.Argument(help="Folder with boxes, truth, other-smears and frames-1280x960.")],
    sheet: Annotated[Path | None, typer.Option(help="Also draw what was found, as a contact sheet (PNG).")] = None,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Hold nuclei against the truth. Limits were chosen on the odd fields of boxes, so the even ones count."""
    with reported(Findings("nuclei", COLUMNS), as_json=as_json, out=out, max_others_pct=1e9) as findings:
        findings.rows = measure(data)
        ours = {row["set"]: row for row in findings.rows if row["method"] == next(iter(METHODS))}
        findings.goals = [
            Goal("white cells found in boxes kept aside, %", 99.0, at_most=False, measured=_of(ours, "found_pct")),
            Goal("precision in boxes kept aside, %", 97.0, at_most=False, measured=_of(ours, "precision_pct")),
            Goal("Dice, tecom300", 0.90, at_most=False, measured=ours["tecom300"]["dice"]),
            Goal("Dice, cellavision100", 0.95, at_most=False, measured=ours["cellavision100"]["dice"]),
            Goal("false per field, frames", 0.3, at_most=True, measured=ours[EMPTY_SET]["false_per_field"]),
        ]
        if sheet is not None:
            cv2.imwrite(str(sheet), cv2.cvtColor(draw_sheet(data), cv2.COLOR_RGB2BGR))
            findings.notes.append(f"contact sheet: {sheet}")


def _of(rows: dict[str, dict[str, Any]], key: str) -> float:
    return float(rows["boxes, kept aside"][key])


def measure(data: Path, methods: Sequence[str] = tuple(METHODS)) -> list[dict[str, Any]]:
    """A row for each set and method. ``data`` is the folder that contains the sets."""
    fields = [field for field in read_boxes(data / "boxes") if len(field.white_cells) <= MISLABELLED_COUNT]
    odd = [field for field in fields if field_number(field) % 2]
    even = [field for field in fields if not field_number(field) % 2]
    views = [shrink(decode_image(path.read_bytes())) for path in list_images(data / EMPTY_SET)]
    rows = []
    for method in methods:
        find = METHODS[method]
        rows.append({"set": "boxes, tuned on", "method": method, **_count(odd, find)})
        rows.append({"set": "boxes, kept aside", "method": method, **_count(even, find)})
        for name in MASK_SETS:
            scores = [_dice(find(view).mask, truth) for view, truth in read_masks(data, name)]
            rows.append(
                {"set": name, "method": method, "fields_count": len(scores), "dice": round(float(np.mean(scores)), 4)}
            )
        quarters = [quarter for field in even for quarter in _quarters_without(field)]
        found = sum(len(find(quarter).cells) for quarter in quarters)
        rows.append(
            {
                "set": "boxes, quarters without",
                "method": method,
                "fields_count": len(quarters),
                "false_per_field": round(found / max(1, len(quarters)), 3),
            }
        )
        found = sum(len(find(view).cells) for view in views)
        # Only one nucleus in these frames is real: that of the neutrophil in the first frame.
        rows.append(
            {
                "set": EMPTY_SET,
                "method": method,
                "fields_count": len(views),
                "false_per_field": round(max(0, found - 1) / len(views), 3),
            }
        )
    return sorted(rows, key=lambda row: [*dict.fromkeys(each["set"] for each in rows)].index(row["set"]))


def read_boxes(folder: Path) -> Iterator[BoxedField]:
    """The fields of ``boxes.csv`` (path, kind, x_min_px, y_min_px, x_max_px, y_max_px)."""
    boxes: dict[str, list[dict[str, str]]] = {}
    with (folder / "boxes.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            boxes.setdefault(row["path"], []).append(row)
    for name, rows in sorted(boxes.items()):
        picture = decode_image((folder / name).read_bytes())
        view = shrink(picture)
        scale = view.shape[1] / picture.shape[1]
        sides = ("x_min_px", "y_min_px", "x_max_px", "y_max_px")
        of_kind = {
            kind: np.array([[scale * float(row[side]) for side in sides] for row in rows if row["kind"] == kind])
            for kind in ("wbc", "rbc")
        }
        yield BoxedField(name, view, of_kind["wbc"].reshape(-1, 4), of_kind["rbc"].reshape(-1, 4))


def read_masks(data: Path, name: str) -> Iterator[tuple[Image, NDArray[np.bool_]]]:
    """View and mask of the nucleus of each image of a set with hand-drawn truth."""
    for path in list_images(data / "other-smears" / name):
        view = shrink(decode_image(path.read_bytes()))
        truth = cv2.imread(str(data / "truth" / name / path.name), cv2.IMREAD_GRAYSCALE)
        if truth is None:
            raise FileNotFoundError(data / "truth" / name / path.name)
        resized = cv2.resize(truth, view.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        yield view, resized == 255


def draw_sheet(data: Path, columns: int = 6) -> Image:
    """Fields of every set, with findings outlined (green) and hand-drawn white cells boxed (red); uint8 RGB."""
    tiles = []
    for field in [each for each in read_boxes(data / "boxes") if not field_number(each) % 2][:: 130 // (4 * columns)]:
        tile = _outlined(field.view)
        for left, top, right, bottom in field.white_cells.astype(int):
            cv2.rectangle(tile, (left, top), (right, bottom), (255, 0, 0), 1)
        tiles.append(tile)
    for folder in (*(data / "other-smears" / name for name in (*MASK_SETS, "fields256")), data / EMPTY_SET):
        paths = list_images(folder)
        some = paths[:: max(1, len(paths) // (2 * columns))][: 2 * columns]
        tiles += [_outlined(shrink(decode_image(path.read_bytes()))) for path in some]
    cells = [_padded(tile, 240, 320) for tile in tiles]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[at : at + columns]) for at in range(0, len(cells), columns)])


def _outlined(view: Image) -> Image:
    tile = view.copy()
    for nucleus in find_cells(SEGMENTATION_DENOISER(view)).segmentation.nuclei:
        cv2.drawContours(tile, nucleus.contours, -1, (0, 255, 0), 1)
        corner = nucleus.left_px, nucleus.top_px
        cv2.rectangle(tile, corner, (corner[0] + nucleus.width_px, corner[1] + nucleus.height_px), (0, 128, 0), 1)
    return tile


def _padded(tile: Image, height_px: int, width_px: int) -> Image:
    scale = min(height_px / tile.shape[0], width_px / tile.shape[1])
    fitted = cv2.resize(tile, (round(tile.shape[1] * scale), round(tile.shape[0] * scale)))
    below, right = height_px - fitted.shape[0], width_px - fitted.shape[1]
    return np.asarray(cv2.copyMakeBorder(fitted, 0, below, 0, right, cv2.BORDER_CONSTANT), dtype=np.uint8)


def field_number(field: BoxedField) -> int:
    """The number in the file's name: odd fields are for tuning."""
    return int(field.name.removeprefix("field-").removesuffix(".jpg"))


def _count(fields: Sequence[BoxedField], find: Callable[[Image], Found]) -> dict[str, Any]:
    cells, right, detections = 0, 0, 0
    for field in fields:
        found = find(field.view).cells
        cells += len(field.white_cells)
        detections += len(found)
        right += _matches(field.white_cells, found)
    return {
        "fields_count": len(fields),
        "cells_count": cells,
        "found_pct": round(100 * right / cells, 2),
        "precision_pct": round(100 * right / max(1, detections), 2),
    }


def _quarters_without(field: BoxedField) -> Iterator[Image]:
    """The quarters of a field with no hand-drawn white cell in or near them."""
    height, width = field.view.shape[0] // 2, field.view.shape[1] // 2
    for top in (0, height):
        for left in (0, width):
            x0, y0, x1, y1 = field.white_cells.T
            near = (
                (x0 < left + width + _MARGIN_PX)
                & (x1 > left - _MARGIN_PX)
                & (y0 < top + height + _MARGIN_PX)
                & (y1 > top - _MARGIN_PX)
            )
            if not near.any():
                yield np.ascontiguousarray(field.view[top : top + height, left : left + width])


def _matches(boxes: NDArray[np.float64], found: Sequence[Detection]) -> int:
    """The number of boxes with a detection of their own: a second one in the same box counts as false."""
    free = [tuple(box) for box in boxes]
    for cell in found:
        inside = [
            box
            for box in free
            if box[0] - _MARGIN_PX <= cell.x_px <= box[2] + _MARGIN_PX
            and box[1] - _MARGIN_PX <= cell.y_px <= box[3] + _MARGIN_PX
        ]
        if inside:
            free.remove(inside[0])
    return len(boxes) - len(free)


def _dice(mask: Image, truth: NDArray[np.bool_]) -> float:
    found = mask > 0
    total = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / total if total else 1.0
