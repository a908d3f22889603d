"""The int8 file of a cells network."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from edge_agent.inference.classifier import quantization_table
from edge_agent.inference.runtime import Runtime
from trainer.cells.training.network import CellsWeights, build_cells_network, shift_log_odds
from trainer.export.conversion import convert_to_int8
from trainer.networks.network import to_network_input
from trainer.spec import LOGITS
from trainer.training.tail import BATCH


def convert_cells(weights: CellsWeights, windows: NDArray[np.uint8]) -> bytes:
    """The network of ``weights`` as a full-integer file; ``windows`` are preprocessed, uint8 (n, 96, 96, 3).

    The ranges of all activations are taken from the windows. Rounding shifts all log-odds of a blast by about the same
    amount, so the file is made twice: the second time with a bias that undoes the shift. Raises ``ConversionError``.
    """
    network = build_cells_network(weights)
    model = convert_to_int8(network, windows)
    shift = _shift(model, network, windows)
    shift_log_odds(network, -shift)
    return convert_to_int8(network, windows)


def _shift(model: bytes, network: keras.Model, windows: NDArray[np.uint8]) -> float:
    """How far the file's log-odds of a blast are above the network's: the median over windows."""
    runtime = Runtime(model, threads=1)
    table = quantization_table(runtime.input)
    rounded = [runtime.run(table[window][None])[LOGITS][0, 0] for window in windows]
    exact = [
        np.asarray(network(to_network_input(windows[start : start + BATCH]), training=False)[LOGITS])[:, 0]
        for start in range(0, len(windows), BATCH)
    ]
    return float(np.median(np.array(rounded) - np.concatenate(exact)))
