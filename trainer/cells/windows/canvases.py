"""Canvases: each cell at the bundle's scale, with room to turn and shift its window. They are kept on disk."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ImageError
from edge_agent.vision.cell_stain import is_cut_out
from edge_agent.vision.cell_windows import cut_window
from edge_agent.vision.cells import find_cells
from edge_agent.vision.decode import decode_image
from edge_agent.vision.preprocessing import SEGMENTATION_DENOISER
from trainer.cells.laboratories.listing import ListedCell, SkippedRow
from trainer.cells.laboratories.sources import Sources
from trainer.cells.windows.cut_out import cell_mask
from trainer.files import make_folder, replacing, write_json
from trainer.processes import in_processes

UM_PER_PIXEL = 0.25
CANVAS_PX = 160
CANVAS_UM = CANVAS_PX * UM_PER_PIXEL

_VERSION = 1
"""Version of how a canvas is made. Any change above or below changes the version, so that no old canvas is used."""

_RED_CELL_UM = 7.5
_MAX_OFF_CENTRE_RATIO = 0.25
"""A picture's cell is in its middle: a nucleus farther out than this, in sides, is a neighbour's."""

_CHUNK = 32


@dataclass(frozen=True, slots=True, eq=False)
class Canvases:
    """Pictures of cells: uint8 RGB (n, 160, 160, 3), one for each of ``cells``. The arrays may be read-only."""

    cells: tuple[ListedCell, ...]
    parts: tuple[NDArray[np.uint8], ...]
    """The canvases by laboratory, in the order of ``cells``: together they may be larger than the memory."""
    skipped: tuple[SkippedRow, ...]
    """Files that are not pictures."""
    keys: tuple[str, ...]
    """One for each of ``parts``, which changes with anything that its canvases depend on."""

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """The canvases one by one, in the order of ``cells``."""
        return itertools.chain.from_iterable(self.parts)

    def __getitem__(self, position: int) -> NDArray[np.uint8]:
        """The canvas of the cell at ``position``, from 0. Raises ``IndexError`` if there is none."""
        if not 0 <= position < len(self):
            raise IndexError(f"there is no cell {position} of {len(self)}")
        for part in self.parts:
            if position < len(part):
                break
            position -= len(part)
        return np.asarray(part[position], np.uint8)


def make_canvas(rgb: NDArray[np.uint8], side_um: float) -> NDArray[np.uint8]:
    """The canvas of a uint8 RGB (h, w, 3) picture of one cell whose shorter side shows ``side_um``.

    The middle of the nucleus is the middle of the canvas. Beyond the picture, the canvas is mirrored.
    """
    px_per_um = min(rgb.shape[:2]) / side_um
    size_px = CANVAS_UM * px_per_um
    return cut_window(rgb, _centre_px(rgb, _RED_CELL_UM * px_per_um), (size_px, size_px), CANVAS_PX)


def make_canvases(cells: Sequence[ListedCell], sources: Sources, cache: Path, *, processes: int = 2) -> Canvases:
    """The canvases of ``cells``, grouped by laboratory. Each laboratory's are then kept in a file below ``cache``.

    Anything that changes a canvas changes the file's name, so an old file is never taken for a new one. After a kill,
    finished laboratories are kept. Raises ``OutputUnwritable``, and ``OutOfMemory`` if the system killed a process.
    """
    make_folder(cache)
    kept: list[ListedCell] = []
    parts: list[NDArray[np.uint8]] = []
    skipped: list[SkippedRow] = []
    keys: list[str] = []
    for code, group in itertools.groupby(sorted(cells, key=lambda each: each.laboratory), lambda each: each.laboratory):
        own = tuple(group)
        side_um = sources.laboratory(code).side_um
        keys.append(_key(own, side_um))
        path = cache / f"{code}-{keys[-1]}.npy"
        found = _find(path, len(own)) or _make(path, own, side_um, processes)
        reasons, pictures = found
        kept += [each for position, each in enumerate(own) if position not in reasons]
        skipped += [SkippedRow(code, own[position].path.name, reason) for position, reason in reasons.items()]
        parts.append(pictures)
    return Canvases(tuple(kept), tuple(parts), tuple(skipped), tuple(keys))


Made = NDArray[np.uint8] | str | OSError

Found = tuple[dict[int, str], NDArray[np.uint8]]
"""The reasons why some cells have no canvas, by position, and the canvases of all others."""


def _key(cells: Iterable[ListedCell], side_um: float) -> str:
    lines = [str(_VERSION), str(side_um), *(each.sha256 for each in cells)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _find(path: Path, count: int) -> Found | None:
    """The result that an earlier call kept; None if there is none, or if it is damaged."""
    try:
        reasons = {int(at): str(reason) for at, reason in json.loads(_reasons_path(path).read_bytes()).items()}
        pictures = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, AttributeError, EOFError):
        return None
    expected = (count - len(reasons), CANVAS_PX, CANVAS_PX, 3)
    return (reasons, pictures) if pictures.shape == expected and pictures.dtype == np.uint8 else None


def _make(path: Path, cells: Sequence[ListedCell], side_um: float, processes: int) -> Found:
    pictures = np.empty((len(cells), CANVAS_PX, CANVAS_PX, 3), np.uint8)
    reasons: dict[int, str] = {}
    lasting = True
    read = partial(_read_canvas, side_um=side_um)
    what = f"Cutting out {path.stem.rpartition('-')[0]}"
    work = partial(_read_chunk, read)
    pictures_made = in_processes(work, [each.path for each in cells], what, processes=processes, chunk=_CHUNK)
    for position, made in enumerate(pictures_made):
        if isinstance(made, str):
            reasons[position] = made
        elif isinstance(made, OSError):
            reasons[position] = f"cannot be opened: {made.strerror}"
            lasting = False
        else:
            pictures[position - len(reasons)] = made
    found = reasons, pictures[: len(cells) - len(reasons)]
    if not lasting:
        # The file may be there again next time.
        return found
    # The pictures are written last: the reasons do not count without them.
    write_json(_reasons_path(path), {str(at): reason for at, reason in reasons.items()})
    with replacing(path) as file:
        np.save(file, found[1])
    # Mapped from the disk, they need no memory.
    return _find(path, len(cells)) or found


def _reasons_path(path: Path) -> Path:
    return path.with_suffix(".unreadable.json")


def _read_chunk(read: partial[Made], paths: Sequence[Path]) -> list[Made]:
    return [read(path) for path in paths]


def _read_canvas(path: Path, side_um: float) -> Made:
    """The canvas of a picture's file, or why there is none: an ``OSError`` may be temporary."""
    try:
        return make_canvas(decode_image(path.read_bytes()), side_um)
    except ImageError as error:
        return error.message
    except OSError as error:
        return error


def _centre_px(rgb: NDArray[np.uint8], red_cell_diameter_px: float) -> tuple[float, float]:
    """X and y of the middle of the nucleus; or of a cell on black, or else of the picture."""
    height, width = rgb.shape[:2]
    middle = width / 2, height / 2
    if is_cut_out(rgb):
        rows, columns = np.nonzero(cell_mask(rgb))
        return (float(columns.mean()), float(rows.mean())) if len(rows) else middle
    nuclei = find_cells(SEGMENTATION_DENOISER(rgb), red_cell_diameter_px=red_cell_diameter_px).segmentation.nuclei
    if not nuclei:
        return middle

    def off_centre(centre: tuple[float, float]) -> float:
        return float(np.hypot(centre[0] - middle[0], centre[1] - middle[1]))

    # The middle of a large nucleus may be farther out than that of a small one beside it.
    nearest = min(nuclei, key=lambda each: off_centre(each.centre_px) - np.sqrt(each.area_px / np.pi)).centre_px
    return nearest if off_centre(nearest) <= _MAX_OFF_CENTRE_RATIO * min(height, width) else middle
