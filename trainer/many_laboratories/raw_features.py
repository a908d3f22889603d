"""Features of an ImageNet network for the raw windows of cells."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from edge_agent.analysis.cell_scale import CellScale
from trainer.cells.laboratories.listing import ListedCell
from trainer.cells.windows.cutting import WINDOW_PX
from trainer.files import make_folder, replacing
from trainer.many_laboratories.raw_windows import raw_windows
from trainer.networks.backbone import load_backbone
from trainer.networks.network import to_network_input
from trainer.processes import in_processes
from trainer.spec import IMAGENET

ALPHA = 0.35

_VERSION = 1
"""Version of how the features are computed."""

_BATCH = 128


def feature_file(cells: Sequence[ListedCell], scale: CellScale, weights: str, cache: Path) -> Path:
    """The file in which the features of a laboratory's cells are kept: its name changes with what they depend on."""
    content = weights if weights == IMAGENET else hashlib.sha256(Path(weights).read_bytes()).hexdigest()
    lines = [str(_VERSION), repr(scale), content, *(each.sha256 for each in cells)]
    key = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
    return cache / f"{cells[0].laboratory}-{key}.npy"


def raw_features(
    cells: Sequence[ListedCell], scale: CellScale, weights: str, cache: Path, processes: int
) -> NDArray[np.float32]:
    """float32 (n, 1280): MobileNetV2's last map, averaged, of the window of each cell of one laboratory.

    NaN for a picture that cannot be read. The features are kept in ``feature_file``. Raises ``WeightsError``,
    ``OutputUnwritable`` and ``OutOfMemory``.
    """
    path = feature_file(cells, scale, weights, cache)
    with suppress(OSError, ValueError, EOFError):
        found = np.load(path, allow_pickle=False)
        if len(found) == len(cells):
            return np.asarray(found, np.float32)
    make_folder(cache)
    network = _network(weights)
    windows = in_processes(
        partial(raw_windows, scale=scale), cells, f"Cutting {cells[0].laboratory}", processes=processes, chunk=64
    )
    made = np.concatenate([_describe(network, batch) for batch in _batches(windows)])
    with replacing(path) as file:
        np.save(file, made)
    return made


def _network(weights: str) -> keras.Model:
    backbone = load_backbone(ALPHA, weights, side_px=WINDOW_PX)
    return keras.Model(backbone.input, keras.layers.GlobalAveragePooling2D()(backbone.output))


def _batches(windows: Iterable[NDArray[np.uint8] | None]) -> Iterable[list[NDArray[np.uint8] | None]]:
    batch: list[NDArray[np.uint8] | None] = []
    for each in windows:
        batch.append(each)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _describe(network: keras.Model, windows: Sequence[NDArray[np.uint8] | None]) -> NDArray[np.float32]:
    blank = np.zeros((WINDOW_PX, WINDOW_PX, 3), np.uint8)
    pictures = np.stack([blank if each is None else each for each in windows])
    found = np.array(network.predict_on_batch(to_network_input(pictures)), np.float32)
    found[[each is None for each in windows]] = np.nan
    return found
