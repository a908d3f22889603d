"""Windows to fit familiarity with: varied cells, and foreign windows from beside the cells in the same pictures.

Foreign windows show platelets and whatever else is listed as no cell, places beside the cells (red cells, glass, stain,
parts of neighbours) and drawn nonsense. So for every laboratory it is known what must be refused, without anyone
marking it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.cell_stain import MAX_BLACK_LEVEL, WHITE, is_cut_out, standardise_cell
from edge_agent.vision.cell_windows import cut_window
from edge_agent.vision.cells import find_cells
from edge_agent.vision.central_nucleus import find_central_nuclei
from edge_agent.vision.preprocessing import SEGMENTATION_DENOISER
from edge_agent.vision.red_cells import DIAMETER_UM
from trainer.cells.foreign.nonsense import FITTED, draw
from trainer.cells.laboratories.splits import sampling_weights
from trainer.cells.windows.canvases import CANVAS_PX, UM_PER_PIXEL, Canvases
from trainer.cells.windows.cutting import WINDOW_PX, Placement, cut_canvas, random_placement
from trainer.cells.windows.variation import vary

Array = NDArray[np.uint8]

NOTHING = "nothing"
"""Kind of a window in which no nucleus is found: whatever it shows, the network sees plain white."""

CUT_OUT_SHARE = 0.2
"""Share of the other cells that are cut out on black, as some laboratories' are: else those would be unfamiliar."""

_MAX_CUT_OUT_MARGIN_UM = 2.5
"""Largest margin of cytoplasm that is left around the nucleus."""

_SCALE_SIGMA = 0.1
"""The scale of an unseen laboratory is known less well than that of one that is trained with."""

_BESIDE_UM = 4.5
"""A window whose middle is farther than this from all nuclei shows something else in its middle."""

_PLACES_COUNT = 6
"""Places tried beside each cell: finding the nuclei takes much longer than cutting windows out."""

_MAX_TRIES = 30
"""Windows drawn for each that is wanted, and canvases tried in a row, before giving up."""


@dataclass(frozen=True, slots=True, eq=False)
class ForeignWindow:
    """A window that shows no nucleated cell in its middle."""

    kind: str
    window: Array
    """uint8 RGB (96, 96, 3)."""


def draw_cells(canvases: Canvases, positions: Sequence[int], count: int, rng: np.random.Generator) -> Iterator[Array]:
    """Varied windows, uint8 RGB (96, 96, 3), of ``count`` cells drawn from those at ``positions``.

    All laboratories are drawn equally often, and types more evenly than they occur.
    """
    weights = sampling_weights([canvases.cells[at] for at in positions], laboratory_power=1.0)
    for at in rng.choice(np.asarray(positions), count, p=weights):
        window = vary(cut_canvas(canvases[int(at)], _placement(rng)), rng)
        if rng.random() < CUT_OUT_SHARE and not is_cut_out(window):
            window = cut_out(window, rng.uniform(0, _MAX_CUT_OUT_MARGIN_UM))
        yield window


def draw_foreign(
    canvases: Canvases, positions: Sequence[int], count: int, rng: np.random.Generator
) -> Iterator[ForeignWindow]:
    """Foreign windows, ``count`` of each kind, from the canvases at ``positions``, and one of ``NOTHING``.

    Each of the others has something in its middle that looks like a nucleus. A kind that hardly ever has this may have
    fewer windows.
    """
    cells: dict[str, list[int]] = {}
    others: dict[str, list[int]] = {}
    for at in positions:
        cell = canvases.cells[at]
        (cells if cell.is_nucleated else others).setdefault(cell.laboratory, []).append(at)
    yield ForeignWindow(NOTHING, np.full((WINDOW_PX, WINDOW_PX, 3), WHITE, np.uint8))
    for laboratory, own in others.items():
        kind = f"no cell of {laboratory}"
        yield from _with_nucleus(kind, (_varied(canvases, own, rng) for _ in itertools.count()), count)
    for laboratory, own in cells.items():
        # There is nothing beside a cell on black.
        in_smears = [at for at in own if not is_cut_out(cut_canvas(canvases[at]))]
        if in_smears:
            beside = _beside(canvases, in_smears, rng)
            yield from _with_nucleus(f"beside cells of {laboratory}", beside, count)
            varied = (vary(each, rng) for each in beside)
            yield from _with_nucleus(f"beside cells of {laboratory}, varied", varied, count)
    everyone = list(itertools.chain.from_iterable(cells.values()))
    for nonsense in FITTED:
        drawn = (draw(nonsense, cut_canvas(canvases[int(rng.choice(everyone))]), rng) for _ in itertools.count())
        yield from _with_nucleus(nonsense.value, drawn, count)


def cut_out(window: Array, margin_um: float) -> Array:
    """Cut out the cell in the middle of a uint8 RGB window on black, with a margin around the hull of its nucleus.

    Where there is no nucleus, the window is returned as it is.
    """
    side_px = window.shape[0]
    denoised = np.asarray(cv2.medianBlur(window, 3), np.uint8)
    parts = find_central_nuclei(denoised[None], DIAMETER_UM / UM_PER_PIXEL)[0].parts
    if not parts:
        return window
    kept = np.zeros((side_px, side_px), np.uint8)
    hull = cv2.convexHull(np.concatenate(parts))
    cv2.fillConvexPoly(kept, hull, 255)
    cv2.polylines(kept, [hull], isClosed=True, color=255, thickness=2 * round(margin_um / UM_PER_PIXEL) + 1)
    brighter = np.maximum(window, np.uint8(MAX_BLACK_LEVEL + 1))
    return np.asarray(cv2.copyTo(brighter, kept), np.uint8)


def _with_nucleus(kind: str, windows: Iterator[Array], count: int) -> Iterator[ForeignWindow]:
    """The first ``count`` of the windows that the preprocessing does not turn white."""
    found = (each for each in itertools.islice(windows, _MAX_TRIES * count) if (standardise_cell(each) != WHITE).any())
    for window in itertools.islice(found, count):
        yield ForeignWindow(kind, window)


def _varied(canvases: Canvases, positions: Sequence[int], rng: np.random.Generator) -> Array:
    window = cut_canvas(canvases[int(rng.choice(positions))], _placement(rng))
    return vary(window, rng) if rng.random() < 0.5 else window


def _beside(canvases: Canvases, positions: Sequence[int], rng: np.random.Generator) -> Iterator[Array]:
    """Windows anywhere on cells' canvases except near a nucleus. Beyond the canvas, they are mirrored.

    They end after too many canvases in a row without such a place.
    """
    near_px = 2 * round(_BESIDE_UM / UM_PER_PIXEL) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (near_px, near_px))
    in_vain = 0
    while in_vain < _MAX_TRIES:
        canvas = canvases[int(rng.choice(positions))]
        found = find_cells(SEGMENTATION_DENOISER(canvas), red_cell_diameter_px=DIAMETER_UM / UM_PER_PIXEL)
        nuclei = found.segmentation.mask
        # The cell itself is in the middle, whether its nucleus was found or not.
        nuclei[CANVAS_PX // 2, CANVAS_PX // 2] = 255
        rows, columns = np.nonzero(cv2.dilate(nuclei, disc) == 0)
        in_vain = 0 if len(rows) else in_vain + 1
        for at in rng.integers(0, len(rows), _PLACES_COUNT) if len(rows) else ():
            size_px = WINDOW_PX * float(np.exp(rng.normal(0, _SCALE_SIGMA)))
            yield cut_window(canvas, (float(columns[at]), float(rows[at])), (size_px, size_px), WINDOW_PX)


def _placement(rng: np.random.Generator) -> Placement:
    own = random_placement(rng)
    return Placement(own.degrees, float(np.exp(rng.normal(0, _SCALE_SIGMA))), own.shift_px, own.mirrored)
