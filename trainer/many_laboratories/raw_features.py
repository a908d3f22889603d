"""What an ImageNet network sees in cells as their laboratory shows them: neither stain nor surround is evened out."""

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
from edge_agent.errors import ImageError
from edge_agent.vision.cell_windows import cut_cell
from edge_agent.vision.cells import CELL_WINDOW_UM
from edge_agent.vision.decode import decode_image
from trainer.cells.listing import ListedCell
from trainer.cells.windows import WINDOW_PX
from trainer.files import make_folder, replacing
from trainer.networks.backbone import load_backbone
from trainer.networks.network import to_network_input
from trainer.processes import in_processes

ALPHA = 0.35

_VERSION = 1
"""Of how they are computed."""

_BATCH = 128


def raw_features(
    cells: Sequence[ListedCell], scale: CellScale, weights: str, cache: Path, processes: int
) -> NDArray[np.float32]:
    """float32 (n, 1280): MobileNetV2's last map, averaged, of the window of each cell of one laboratory.

    NaN for a picture that cannot be read. Kept in a file below ``cache``, whose name changes with what they depend on.
    Raises ``WeightsError``, ``OutputUnwritable`` and ``OutOfMemory``.
    """
    lines = [str(_VERSION), scale.describe(), weights, *(each.sha256 for each in cells)]
    key = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
    path = cache / f"{cells[0].laboratory}-{key}.npy"
    with suppress(OSError, ValueError, EOFError):
        found = np.load(path, allow_pickle=False)
        if len(found) == len(cells):
            return np.asarray(found, np.float32)
    make_folder(cache)
    network = _network(weights)
    windows = in_processes(
        partial(_windows, scale=scale), cells, f"Cutting {cells[0].laboratory}", processes=processes, chunk=64
    )
    made = np.concatenate([_describe(network, batch) for batch in _batches(windows)])
    with replacing(path) as file:
        np.save(file, made)
    return made


def _network(weights: str) -> keras.Model:
    backbone = load_backbone(ALPHA, weights)
    inputs = keras.Input((WINDOW_PX, WINDOW_PX, 3))
    smaller = keras.models.clone_model(backbone, input_tensors=inputs)
    smaller.set_weights(backbone.get_weights())
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(smaller.output))


def _windows(cells: Sequence[ListedCell], scale: CellScale) -> list[NDArray[np.uint8] | None]:
    return [_window(each.path, scale) for each in cells]


def _window(path: Path, scale: CellScale) -> NDArray[np.uint8] | None:
    try:
        rgb = decode_image(path.read_bytes())
    except ImageError:
        return None
    return cut_cell(rgb, scale.um_per_pixel_of(*rgb.shape[:2]), CELL_WINDOW_UM, WINDOW_PX).window


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
