"""Outputs of the frozen layers for all cells' windows, as they are and varied: computed once for all trainings."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.augmentation.variants import Vary
from trainer.cells.training.network import build_dark_area, build_trunk
from trainer.cells.windows.canvas_windows import cut_as_on_device, cut_varied
from trainer.cells.windows.canvases import Canvases
from trainer.files import make_folder
from trainer.networks.frozen_features import Variants, cache_outputs, read_outputs
from trainer.networks.weights import Weights

PREPROCESSING = "cell_stain@1"
DENOISE = "none"
_VERSION = 2
"""Version of how a window is varied. Changing that changes the version, so that no old file is used."""


@dataclass(frozen=True, slots=True, eq=False)
class CachedCells:
    """Outputs for the canvases' cells, in their order; the variants are mapped from the disk."""

    starts: NDArray[np.int64]
    """Position of each laboratory's first cell, int64 (laboratories + 1,)."""
    maps: list[list[NDArray[np.float16]]]
    """(n, 12, 12, 16) for each variant and each laboratory. The first variant is the window as on the device."""
    dark_area: NDArray[np.float32]
    """(n, 1), of the windows as on the device; see ``build_dark_area``."""

    def take(self, variant: int, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Maps float32 (k, 12, 12, 16) of the cells at ``positions``."""
        places = np.searchsorted(self.starts, positions, side="right") - 1
        return np.stack(
            [
                self.maps[variant][place][position - self.starts[place]]
                for place, position in zip(places, positions, strict=True)
            ]
        ).astype(np.float32)


def cache_cells(canvases: Canvases, imagenet: Weights, folder: Path, *, variants: int, seed: int) -> CachedCells:
    """Compute the outputs of each laboratory's cells and variants that ``folder`` lacks, and read them all.

    What changes an output changes the file's name: the pictures and their scale, the seed, and the layers' weights.
    Raises ``OutputUnwritable``, and ``RunError`` for a file that is damaged.
    """
    make_folder(folder)
    trunk, dark = build_trunk(imagenet), build_dark_area()
    layers = hashlib.sha256(b"".join(np.asarray(each).tobytes() for each in trunk.get_weights())).hexdigest()
    maps: list[list[NDArray[np.float16]]] = [[] for _ in range(variants + 1)]
    darks = []
    start = 0
    for windows, made_from in zip(canvases.parts, canvases.keys, strict=True):
        code = canvases.cells[start].laboratory if len(windows) else ""
        own = canvases.cells[start : start + len(windows)]
        start += len(windows)
        if not len(windows):
            continue
        lines = [str(_VERSION), str(seed), layers, made_from, *(each.sha256 for each in own)]
        key = hashlib.sha256("\n".join(lines).encode())
        name = f"{code}-{key.hexdigest()[:16]}"
        for variant in range(variants + 1):
            path = folder / f"{name}-{variant:02d}.npy"
            outputs: dict[Path, keras.Model] = {path: trunk}
            if variant == 0:
                dark_path = folder / f"{name}-dark.npy"
                outputs[dark_path] = dark
            change: Vary = cut_varied if variant else cut_as_on_device
            made = Variants(windows, PREPROCESSING, DENOISE, change, (seed, variant))
            cache_outputs(outputs, made, f"{code}, variant {variant} of {variants}")
            maps[variant].append(read_outputs(path, mapped=True))
        darks.append(read_outputs(dark_path).astype(np.float32))
    counts = [len(each) for each in maps[0]]
    return CachedCells(np.array([0, *itertools.accumulate(counts)], np.int64), maps, np.concatenate(darks))
