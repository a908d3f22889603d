"""The network of a cells bundle: frozen layers that recognise a blast anywhere, and a trained branch for the types.

Only ImageNet's own layers recognise a blast of an unseen laboratory, so the log-odds of a blast are linear in the
appearance of frozen maps. The other types need training: a copy of the layers behind the shared ones is fine-tuned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import keras
import numpy as np
from numpy.typing import NDArray

from edge_agent.inference.classifier import PIXEL_MEAN, PIXEL_SCALE
from trainer.cells.laboratories.sources import TYPES
from trainer.cells.windows.cutting import WINDOW_PX
from trainer.errors import WeightsError
from trainer.networks.backbone import build_backbone, load_backbone
from trainer.networks.weights import Weights, named_weights, read_weights, set_weights, write_weights
from trainer.spec import CLASS_ACTIVATION_MAP, FEATURES, INPUT_NAME, LOGITS, MIDDLE_MAP

ALPHA = 0.35
SHARED = "block_5_add"
"""The last layer that both branches share."""
BLAST_MAPS = (SHARED, "block_9_add", "block_12_add")
"""The frozen maps from which the blast's log-odds are computed, of 16, 24 and 32 channels."""
MIDDLE = BLAST_MAPS[-1]
"""The last frozen layer."""
BLAST_FEATURES_COUNT = 144
"""A mean and a mean square for each of these channels."""
DARK_LEVEL = 150
DARK_STEP_LEVELS = 10
"""A pixel's darkness is how many such steps its red is below ``DARK_LEVEL``, up to ``DARK_STEPS``: nuclei are dark."""
DARK_STEPS = 6.0
_BESIDE_PX = 24
TYPES_COUNT = len(TYPES) - 1
"""All types but the blast."""

TYPES_LOGITS = "types"
"""Name of the tail's output besides ``FEATURES``, and of the layer that produces it."""

_STAGE_BLOCKS = {"block_5_add": (3, 4, 5), "block_9_add": (6, 7, 8, 9), "block_12_add": (10, 11, 12)}
_LAST_FROZEN_BLOCK = _STAGE_BLOCKS[MIDDLE][-1]
_CONSTANT = "blast_constant"
_SECTIONS = ("frozen", "blast", "tail")


def read_imagenet(weights: str) -> Weights:
    """ImageNet weights of the backbone: from an ``.npz``, or "imagenet" to download them. Raises ``WeightsError``."""
    return named_weights(load_backbone(ALPHA, weights, side_px=WINDOW_PX))


def build_trunk(imagenet: Weights) -> keras.Model:
    """The layers that both branches share, frozen: float32 (n, 96, 96, 3) in [-1, 1] to (n, 12, 12, 16).

    ``imagenet`` is the result of ``read_imagenet``, or at least the part of it that these layers need.
    """
    backbone = _backbone()
    return _frozen(keras.Model(backbone.input, backbone.get_layer(SHARED).output, name="trunk"), imagenet)


def build_frozen_maps(imagenet: Weights) -> keras.Model:
    """The frozen layers behind the trunk: float32 (n, 12, 12, 16) to the other ``BLAST_MAPS``.

    The outputs are a list of two, (n, 6, 6, 24) and (n, 6, 6, 32).
    """
    backbone = _backbone()
    maps = [backbone.get_layer(name).output for name in BLAST_MAPS[1:]]
    return _frozen(keras.Model(backbone.get_layer(SHARED).output, maps, name="frozen_maps"), imagenet)


def build_blast_features(imagenet: Weights) -> keras.Model:
    """The features of the blast's log-odds: the trunk's map, float32 (n, 12, 12, 16), to (n, 144). Frozen.

    For each map of ``BLAST_MAPS`` in turn, they are the mean over places of every channel, then the mean square.
    """
    frozen = build_frozen_maps(imagenet)
    shared = keras.Input(frozen.input_shape[1:])
    moments = [
        keras.layers.GlobalAveragePooling2D()(each)
        for of_map in (shared, *frozen(shared))
        for each in (of_map, keras.layers.Multiply()([of_map, of_map]))
    ]
    return keras.Model(shared, keras.layers.Concatenate()(moments), name="blast_features")


def build_dark_area() -> keras.Model:
    """Average darkness of a window, float32 (n, 96, 96, 3) in [-1, 1] to (n, 1): about the area of its nucleus.

    Blasts have large nuclei, and the frozen maps are worst at showing their size.
    """
    inputs = keras.Input((WINDOW_PX, WINDOW_PX, 3))
    return keras.Model(inputs, keras.layers.Flatten()(_dark(inputs)), name="dark_area")


def build_types_tail(imagenet: Weights, dropout: float = 0.0) -> keras.Model:
    """The branch that distinguishes the other types: the trunk's map, float32 (n, 12, 12, 16), to two outputs by name.

    ``types`` (n, 8) are logits in the order of ``TYPES`` without the blast; ``features`` (n, 1280) the averaged last
    map. The layers start with ImageNet's weights, the last one at random; all are trainable, and ``dropout`` precedes
    the last.
    """
    tail = _build_tail(dropout)
    own = {key: value for key, value in named_weights(tail).items() if _layer_of(key) == TYPES_LOGITS}
    _set_part(tail, {**imagenet, **own})
    return tail


@dataclass(frozen=True, slots=True, eq=False)
class CellsWeights:
    """Everything that a cells network computes with, so that a run needs no other file."""

    frozen: Weights
    """Weights of the layers up to ``MIDDLE``. More, such as all ImageNet weights, may be given."""
    blast_weights: NDArray[np.float32]
    """(144,), in the order of ``build_blast_features``."""
    blast_bias: float
    tail: Weights
    """``named_weights`` of a trained ``build_types_tail``."""
    dark_weight: float = 0.0
    """The weight of ``build_dark_area``."""

    def save(self, path: Path) -> None:
        """Write the weights to an ``.npz`` file, all or nothing. Raises ``OutputUnwritable``."""
        sections: Mapping[str, Weights] = {
            "frozen": {key: value for key, value in self.frozen.items() if _is_frozen(key)},
            "blast": {
                "weights": np.asarray(self.blast_weights, np.float32),
                "bias": np.array(self.blast_bias, np.float32),
                "dark": np.array(self.dark_weight, np.float32),
            },
            "tail": self.tail,
        }
        write_weights(
            path, {f"{section}/{key}": each for section, named in sections.items() for key, each in named.items()}
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Load a file that ``save`` wrote. Raises ``WeightsError`` if it is damaged or of another network."""
        sections: dict[str, dict[str, NDArray[np.float32]]] = {name: {} for name in _SECTIONS}
        for key, value in read_weights(path).items():
            section, _, name = key.partition("/")
            sections.setdefault(section, {})[name] = value
        blast = sections["blast"]
        expected = {"weights": (BLAST_FEATURES_COUNT,), "bias": (), "dark": ()}
        if {name: value.shape for name, value in blast.items()} != expected or set(sections) != set(_SECTIONS):
            raise WeightsError(
                f"{path} has no weights of a cells network.", remedy="Name the folder that 'trainer train-cells' wrote."
            )
        if not all(np.isfinite(value).all() for named in sections.values() for value in named.values()):
            raise WeightsError(f"{path} has weights that are no numbers.", remedy="Train again.")
        return cls(sections["frozen"], blast["weights"], float(blast["bias"]), sections["tail"], float(blast["dark"]))


def build_cells_network(weights: CellsWeights) -> keras.Model:
    """The whole network, float32 (n, 96, 96, 3) in [-1, 1] to four outputs by name, all float32.

    ``logits`` (n, 9) are the blast's log-odds and then the logits of the other types; ``class_activation_map``
    (n, 1, 1, 9) are the same numbers, as a cell is one place; ``features`` (n, 1280) are the averaged last map of the
    types' branch; ``middle_map`` (n, 6, 6, 32) is the last frozen map. Raises ``WeightsError`` for weights of other
    layers.
    """
    inputs = keras.Input((WINDOW_PX, WINDOW_PX, 3), name=INPUT_NAME)
    shared = build_trunk(weights.frozen)(inputs)
    maps = [shared, *build_frozen_maps(weights.frozen)(shared)]
    tail = _build_tail()
    _set_part(tail, weights.tail)
    typed = tail(shared)
    answers = keras.layers.Concatenate(name=CLASS_ACTIVATION_MAP)(
        [_log_odds(inputs, maps, weights), keras.layers.Reshape((1, 1, TYPES_COUNT))(typed[TYPES_LOGITS])]
    )
    return keras.Model(
        inputs,
        {
            LOGITS: keras.layers.GlobalAveragePooling2D(name=LOGITS)(answers),
            CLASS_ACTIVATION_MAP: answers,
            FEATURES: typed[FEATURES],
            MIDDLE_MAP: maps[-1],
        },
        name="leukoscope_cells",
    )


def shift_log_odds(network: keras.Model, by: float) -> None:
    """Add a constant to the blast's log-odds of a network that ``build_cells_network`` built."""
    layer = network.get_layer(_CONSTANT)
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, bias + by])


def _log_odds(image: keras.KerasTensor, maps: Sequence[keras.KerasTensor], weights: CellsWeights) -> keras.KerasTensor:
    """The blast's log-odds (n, 1, 1, 1) of the window and the frozen maps, computed in an order that suits integers.

    The mean square of a channel far from zero says little more than its mean, and a channel that varies little would be
    lost among the levels of one that varies much. So each channel is centred and scaled first, by the statistics of its
    batch norm, and the weights are changed to match. Channels are summed before places are averaged, because that
    averages the rounding, too.
    """
    terms = []
    at_centre = weights.blast_bias
    given = np.split(weights.blast_weights, np.cumsum([2 * each.shape[-1] for each in maps])[:-1])
    for name, of_map, both in zip(BLAST_MAPS, maps, given, strict=True):
        means, squares = np.split(both, 2)
        centre, spread = _typical(name, weights.frozen)
        # The map is centre + spread * z.
        at_centre += float(means @ centre + squares @ centre**2)
        by_mean, by_square = (means + 2 * squares * centre) * spread, squares * spread**2
        # The expected mean of z squared: subtracting it keeps the sum near zero.
        expected = float(by_square.sum())
        at_centre += expected
        z = _linear(keras.layers.DepthwiseConv2D(1, name=f"{name}_z"), of_map, 1 / spread, -centre / spread)
        z_squared = keras.layers.Multiply(name=f"{name}_squared")([z, z])
        summed = keras.layers.Add(name=f"{name}_summed")(
            [
                _linear(keras.layers.Conv2D(1, 1, name=f"{name}_by_mean"), z, by_mean),
                _linear(keras.layers.Conv2D(1, 1, name=f"{name}_by_square"), z_squared, by_square, -expected),
            ]
        )
        terms.append(keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_term")(summed))
    (first, second, third) = terms
    both = keras.layers.Add(name="blast_of_two")([first, second])
    third = _linear(keras.layers.Conv2D(1, 1, name=_CONSTANT), third, np.ones(1), at_centre)
    area = _linear(keras.layers.Conv2D(1, 1, name="blast_by_dark"), _dark(image), np.array([weights.dark_weight]))
    return keras.layers.Add(name="blast")([both, keras.layers.Add(name="blast_of_rest")([third, area])])


def _dark(image: keras.KerasTensor) -> keras.KerasTensor:
    """The average darkness, (n, 1, 1, 1)."""
    slope = PIXEL_SCALE / DARK_STEP_LEVELS
    offset = (DARK_LEVEL - PIXEL_MEAN) / DARK_STEP_LEVELS
    # A convolution to one channel leaves most of a processor's vectors unused. With one channel for each of several
    # pixels side by side, it takes a quarter of the time: 7 % less for the whole network, with the same int8 outputs.
    beside = keras.layers.Reshape((WINDOW_PX, WINDOW_PX // _BESIDE_PX, 3 * _BESIDE_PX), name="dark_beside")(image)
    each_alone = np.kron(np.eye(_BESIDE_PX), np.array([[-slope], [0], [0]]))
    steps = _linear(keras.layers.Conv2D(_BESIDE_PX, 1, name="dark"), beside, each_alone, offset)
    steps = keras.layers.ReLU(DARK_STEPS, name="dark_steps")(steps)
    apart = keras.layers.Reshape((WINDOW_PX, WINDOW_PX, 1), name="dark_apart")(steps)
    return keras.layers.GlobalAveragePooling2D(keepdims=True, name="dark_area")(apart)


def _linear(
    layer: keras.layers.Layer,
    of: keras.KerasTensor,
    factors: NDArray[np.floating],
    offset: NDArray[np.floating] | float = 0.0,
) -> keras.KerasTensor:
    """A frozen 1x1 convolution of ``of``, with these factors in the order of the channels."""
    output = layer(of)
    kernel, bias = layer.get_weights()
    layer.set_weights([np.reshape(factors, kernel.shape), np.broadcast_to(offset, bias.shape)])
    layer.trainable = False
    return output


def _typical(name: str, weights: Weights) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel of one of ``BLAST_MAPS``, as batch norm set them on ImageNet.

    The map is a sum over the blocks of its stage.
    """
    norms = [f"block_{block}_project_BN" for block in _STAGE_BLOCKS[name]]
    centre = np.sum([np.asarray(weights[f"{norm}/beta"], np.float64) for norm in norms], axis=0)
    variance = np.sum([np.asarray(weights[f"{norm}/gamma"], np.float64) ** 2 for norm in norms], axis=0)
    return centre, np.sqrt(variance)


def _build_tail(dropout: float = 0.0) -> keras.Model:
    backbone = _backbone()
    features = keras.layers.GlobalAveragePooling2D(name=FEATURES)(backbone.output)
    dropped = keras.layers.Dropout(dropout, name="dropout")(features)
    types = keras.layers.Dense(TYPES_COUNT, name=TYPES_LOGITS)(dropped)
    return keras.Model(backbone.get_layer(SHARED).output, {TYPES_LOGITS: types, FEATURES: features}, name="tail")


def _backbone() -> keras.Model:
    return build_backbone(ALPHA, side_px=WINDOW_PX)


def _frozen(model: keras.Model, weights: Weights) -> keras.Model:
    """``model`` with its part of ``weights``, not trainable. Raises ``WeightsError``."""
    _set_part(model, weights)
    model.trainable = False
    return model


def _set_part(model: keras.Model, weights: Weights) -> None:
    """Set the model's variables from ``weights``, which may contain more than these. Raises ``WeightsError``."""
    layers = {layer.name for layer in model.layers}
    set_weights(model, {key: value for key, value in weights.items() if _layer_of(key) in layers})


def _is_frozen(key: str) -> bool:
    """Whether a variable of the backbone belongs to a layer up to ``MIDDLE``."""
    block = re.match(r"block_(\d+)_", key)
    return not key.startswith("Conv_1") if block is None else int(block.group(1)) <= _LAST_FROZEN_BLOCK


def _layer_of(key: str) -> str:
    return key.rpartition("/")[0]
