"""Measures what a cells bundle says of things that are no nucleated cells, through the agent, as its user would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic_ns

import numpy as np
from pydantic import Field
from scipy.stats import binomtest

from edge_agent.analysis.cell_analyzer import CellAnalyzer
from edge_agent.analysis.cell_scale import configured_scale
from edge_agent.analysis.reading import Reading
from edge_agent.cameras.frame import ColourOrder, Encoded, Frame, Pixels
from edge_agent.contracts import Outcome
from edge_agent.inference import Classifier, load_bundle
from edge_agent.settings import Settings
from trainer.cells.foreign.nonsense import FITTED, Nonsense, draw
from trainer.cells.foreign.pictures import (
    PLATELET,
    RED_CELL,
    WHITE_CELL,
    Box,
    ForeignPicture,
    images_of,
    pictures_of_boxes,
    pictures_of_places,
    read_boxes,
    read_picture,
)
from trainer.cells.laboratories.listing import ListedCell
from trainer.cells.laboratories.sources import Sources
from trainer.cells.laboratories.splits import Half, assign_halves
from trainer.cells.windows.canvases import UM_PER_PIXEL, make_canvas
from trainer.cells.windows.cutting import cut_canvas
from trainer.evaluation.bundle_analyzer import BundleAnalyzer
from trainer.progress import track

NONSENSE_COUNT = 150
"""Drawn pictures of each kind."""


class RefusedPictures(Settings):
    """Pictures of one kind, each judged as a single cell."""

    source: str
    kind: str
    fitted: bool = Field(description="Whether familiarity was fitted with other pictures of that kind.")
    pictures_count: int
    refused_ratio: float
    refused_interval_ratio: tuple[float, float] = Field(description="95 % Wilson interval.")
    refusals: dict[str, int] = Field(description="How many were refused, by reason.")
    answered_types: dict[str, int] = Field(description="Types of the rest.")


class JudgedFields(Settings):
    """Whole fields, in which the agent looks for nuclei itself."""

    source: str
    fields_count: int
    rejected_fields_count: int = Field(description="Those that the agent rejected, for their light for example.")
    cells_count: int = Field(description="Nuclei that the agent found in the others, and that are not cut.")
    typed_count: int = Field(description="Those that got a type.")
    objects_count: dict[str, int] = Field(description="Marked objects in them, by kind; empty where nobody marked any.")
    typed_objects_count: dict[str, int] = Field(description="Those of them that got a type.")
    refused_white_cells_ratio: float | None = Field(
        description="Of marked white cells that the agent found, those without a type."
    )


class ForeignCells(Settings):
    """All figures."""

    bundle: str
    as_cells: tuple[RefusedPictures, ...]
    fields: tuple[JudgedFields, ...]


def judge_foreign_cells(
    bundle: str,
    data: Path,
    sources: Sources,
    cells: Sequence[ListedCell],
    *,
    boxes: Path | None,
    fields: Sequence[Path],
    seed: int = 0,
) -> ForeignCells:
    """Measure a bundle, given by its name or folder.

    ``boxes`` is a table for ``read_boxes`` and ``fields`` are folders of images, both relative to ``data``. ``cells``
    are the listed pictures of all laboratories: those listed as no cell are judged, too, except those that familiarity
    is fitted with, and nonsense is made of the others. Raises ``DataError``, ``BundleError`` and ``BundleWrongKind``.
    """
    classifier = Classifier(load_bundle(bundle))
    analyzer = CellAnalyzer(classifier, proof=None)
    marked = {} if boxes is None else read_boxes(data / boxes)
    rng = np.random.default_rng(seed)
    as_cells: list[RefusedPictures] = []
    for source, fitted, pictures in (
        *_listed(cells, sources),
        *([] if boxes is None else [(str(boxes.parent), False, _marked(marked, rng))]),
        *((str(folder), False, _places(images_of(data / folder), rng)) for folder in fields),
        *(("drawn", kind in FITTED, _drawn(kind, cells, sources, rng)) for kind in Nonsense),
    ):
        as_cells += _judge(analyzer, source, pictures, fitted=fitted)
    whole = BundleAnalyzer(classifier)
    judged = [] if boxes is None else [_judge_fields(whole, str(boxes.parent), marked)]
    judged += [_judge_fields(whole, str(each), dict.fromkeys(images_of(data / each), ())) for each in fields]
    return ForeignCells(bundle=classifier.manifest.name, as_cells=tuple(as_cells), fields=tuple(judged))


def _listed(cells: Sequence[ListedCell], sources: Sources) -> Iterator[tuple[str, bool, Iterable[ForeignPicture]]]:
    """Pictures that are listed as no cell, except the half that familiarity may be fitted with."""
    halves = assign_halves(cells)
    own: dict[str, list[ListedCell]] = {}
    for cell, half in zip(cells, halves, strict=True):
        if not cell.is_nucleated and half is Half.TEST:
            own.setdefault(cell.laboratory, []).append(cell)
    for laboratory, listed in own.items():
        side_um = sources.laboratory(laboratory).side_um
        yield laboratory, True, (_whole("listed as no cell", each.path, side_um) for each in listed)


def _whole(kind: str, path: Path, side_um: float) -> ForeignPicture:
    rgb = read_picture(path)
    return ForeignPicture(kind, rgb, side_um / min(rgb.shape[:2]))


def _marked(marked: dict[Path, tuple[Box, ...]], rng: np.random.Generator) -> Iterator[ForeignPicture]:
    for path, boxes in marked.items():
        yield from pictures_of_boxes(read_picture(path), boxes, rng)


def _places(paths: Sequence[Path], rng: np.random.Generator) -> Iterator[ForeignPicture]:
    for path in paths:
        yield from pictures_of_places(read_picture(path), rng)


def _drawn(
    kind: Nonsense, cells: Sequence[ListedCell], sources: Sources, rng: np.random.Generator
) -> Iterator[ForeignPicture]:
    nucleated = [each for each in cells if each.is_nucleated]
    for at in rng.integers(0, len(nucleated), NONSENSE_COUNT):
        cell = nucleated[at]
        canvas = make_canvas(read_picture(cell.path), sources.laboratory(cell.laboratory).side_um)
        yield ForeignPicture(kind.value, draw(kind, cut_canvas(canvas), rng), UM_PER_PIXEL)


def _judge(
    analyzer: CellAnalyzer, source: str, pictures: Iterable[ForeignPicture], *, fitted: bool
) -> list[RefusedPictures]:
    readings: dict[str, list[Reading]] = {}
    for picture in track(list(pictures), f"Foreign pictures: {source}"):
        analyzer.scale = configured_scale(picture.um_per_pixel)
        reading = analyzer.analyse(
            Frame("foreign", datetime.now(UTC), monotonic_ns(), Pixels(picture.rgb, ColourOrder.RGB))
        )
        readings.setdefault(picture.kind, []).append(reading)
    return [_row(source, kind, of_kind, fitted=fitted) for kind, of_kind in readings.items()]


def _row(source: str, kind: str, readings: Sequence[Reading], *, fitted: bool) -> RefusedPictures:
    refused = [each for each in readings if each.label is None]
    interval = binomtest(len(refused), len(readings)).proportion_ci(method="wilson")
    return RefusedPictures(
        source=source,
        kind=kind,
        fitted=fitted,
        pictures_count=len(readings),
        refused_ratio=len(refused) / len(readings),
        refused_interval_ratio=(float(interval.low), float(interval.high)),
        refusals=dict(Counter(each.reason.value for each in refused if each.reason is not None).most_common()),
        answered_types=dict(Counter(each.label for each in readings if each.label is not None).most_common()),
    )


def _judge_fields(analyzer: BundleAnalyzer, source: str, marked: dict[Path, tuple[Box, ...]]) -> JudgedFields:
    rejected_count = cells_count = typed_count = found_white = refused_white = 0
    objects: Counter[str] = Counter()
    typed_objects: Counter[str] = Counter()
    for path in track(list(marked), f"Fields: {source}"):
        reading = analyzer.read(Encoded(path.read_bytes()))
        if reading.outcome in {Outcome.REJECTED, Outcome.FAILED}:
            rejected_count += 1
            continue
        objects.update(box.kind for box in marked[path])
        cells = [each for each in reading.cells or () if not each.cut]
        cells_count += len(cells)
        for cell in cells:
            typed = cell.type is not None
            typed_count += typed
            held = {box.kind for box in marked[path] if box.holds(cell.x_px, cell.y_px)}
            if WHITE_CELL in held:
                found_white += 1
                refused_white += not typed
            elif typed:
                # A platelet on a red cell is in both boxes.
                typed_objects.update([PLATELET] if PLATELET in held else [RED_CELL] if RED_CELL in held else [])
    return JudgedFields(
        source=source,
        fields_count=len(marked),
        rejected_fields_count=rejected_count,
        cells_count=cells_count,
        typed_count=typed_count,
        objects_count=dict(objects),
        typed_objects_count=dict(typed_objects),
        refused_white_cells_ratio=refused_white / found_white if found_white else None,
    )
